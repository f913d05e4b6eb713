"""Federations over the network, on Flower: the only part of limbeck that imports it."""
