"""Vocabulary, seeds, hashes, errors and devices: what every other folder stands on."""
