"""A few measured cases with known gains: what helps depends on how far the label mixes are apart."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from limbeck.advise.measured import LEAVE_ALONE, Measured, Setting
from limbeck.advise.table import CASES_SCHEMA, FEDERATIONS_SCHEMA

SETTINGS = (
    LEAVE_ALONE,
    Setting(technique="kd", temperature=1.0, weight=0.5, place="student"),
    Setting(technique="kd", temperature=4.0, weight=0.3, place="student"),
    Setting(technique="dp-kd", temperature=None, weight=None, place="student"),
)


def make_measured(
    divergences: Sequence[float],
    gains: Sequence[Sequence[float]],
    *,
    scenarios: Sequence[str] | None = None,
    validation_gains: Sequence[Sequence[float]] | None = None,
    seeds: Sequence[int] | None = None,
) -> Measured:
    """Cases that differ in their divergence alone; each is a scenario of its own unless names are given."""
    names = scenarios or [f"split-{number}" for number in range(len(divergences))]
    rows = [
        {
            "study": "invented",
            "scenario": name,
            "student_client": 0,
            "teacher_client": 1,
            "student_arch": "mlp",
            "teacher_arch": "cnn",
            "seed": 0 if seeds is None else seeds[number],
            "label": name,
            "data": "digits",
            "num_validation": 10_000,
            "epochs": 5,
            "lr": 0.02,
            "batch_size": 64,
            "divergence": divergence,
        }
        for number, (name, divergence) in enumerate(zip(names, divergences, strict=True))
    ]
    own = np.array(gains, dtype=np.float32)
    return Measured(
        cases=pl.DataFrame([{name: row.get(name) for name in CASES_SCHEMA} for row in rows], CASES_SCHEMA),
        settings=SETTINGS[: own.shape[1]],
        gains=own,
        validation_gains=own if validation_gains is None else np.array(validation_gains, np.float32),
        federations=pl.DataFrame(schema=FEDERATIONS_SCHEMA),
        about={"command": "invented", "studies": []},
    )
