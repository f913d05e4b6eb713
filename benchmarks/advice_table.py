"""Make the table of measured cases that `limbeck advise` looks in.

``python -m benchmarks.advice_table STUDY_FOLDER...`` reads the studies' tables (those of `limbeck study`, or
what `benchmarks.publish` copied of them), chooses for each kind of question how wide to look around by
leaving out one scenario at a time, and writes `measured.parquet` and `federations.parquet` into the package.
The command, the studies' spec hashes and the choices are recorded in the table.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limbeck.advise.features import COUNT_FEATURES, FEATURES, MODEL_FEATURES
from limbeck.advise.folds import choose_bandwidth, measure_reach
from limbeck.advise.measured import SHIPPED, SHIPPED_FEDERATIONS, Measured, write_measured
from limbeck.advise.table import read_studies

KINDS = {"counts": COUNT_FEATURES, "models": MODEL_FEATURES, "both": tuple(FEATURES)}


def main() -> None:
    """Make the shipped table from the studies named on the command line."""
    measured = make_table(list(map(Path, sys.argv[1:])))
    write_measured(measured, SHIPPED, SHIPPED_FEDERATIONS)
    print(f"{measured.cases.height} transfers' cases, {len(measured.settings)} settings: {SHIPPED}")
    for features, tuning in measured.about["tuning"].items():
        print(f"  bandwidth {tuning['bandwidth']:g}, reach {tuning['reach']:.2f} for {features}")


def make_table(folders: Sequence[Path]) -> Measured:
    """The measured cases of studies, with how wide to look around each kind of question."""
    command = shlex.join(["python", "-m", "benchmarks.advice_table", *map(str, folders)])
    measured = read_studies(folders, command=command)
    tuning = {
        ",".join(names): {
            "bandwidth": choose_bandwidth(measured, names),
            "reach": measure_reach(measured, names),
        }
        for names in list_kinds(measured).values()
    }
    return replace(measured, about={**measured.about, "tuning": tuning})


def list_kinds(measured: Measured) -> dict[str, tuple[str, ...]]:
    """The kinds of questions with the features that are known of every measured case; none without any."""
    known = [name for name in FEATURES if measured.cases[name].null_count() == 0]
    kinds = {kind: tuple(name for name in names if name in known) for kind, names in KINDS.items()}
    return {kind: names for kind, names in kinds.items() if names}


if __name__ == "__main__":
    main()
