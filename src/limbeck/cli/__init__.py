"""The command line; it knows nothing the library does not offer."""
