"""Whether two studies hold the same numbers: every column of every table but what a clock measured.

``python -m benchmarks.same_numbers FOLDER FOLDER [TABLE ...]``; exit status 1 when they differ.
"""

import sys
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

TABLES = ("results", "grid", "federation")


def main() -> None:
    """Compare the two folders named on the command line."""
    first, second = map(Path, sys.argv[1:3])
    for name in sys.argv[3:] or TABLES:
        ours, theirs = (_read(folder / f"{name}.parquet") for folder in (first, second))
        try:
            assert_frame_equal(ours, theirs, check_exact=True)
        except AssertionError as difference:
            sys.exit(f"{name}: {difference}")
        print(f"{name}: {ours.height} rows of {ours.width} columns are equal")


def _read(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path).drop(pl.selectors.ends_with("seconds"))


if __name__ == "__main__":
    main()
