"""Every claim about speed, as a command that prints it: ``python -m benchmarks``."""
