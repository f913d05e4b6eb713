"""Run-time checks of the shapes in annotations, with whole numbers accepted as floats (PEP 484)."""

from beartype import BeartypeConf, beartype

check_types = beartype(conf=BeartypeConf(is_pep484_tower=True))
