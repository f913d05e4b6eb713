"""The folder of a federation in the real format, with numbers that are easy to add up by hand."""

from pathlib import Path
from typing import Any

import polars as pl
from tests.federate.small_spec import make_spec

from limbeck.federate.session import ROUND_SCHEMA

# 1,000 bytes of request and 49,000 of a model from each of three clients: 150,000 before the first round.
START = [(0, client, way, size) for client in range(3) for way, size in (("down", 1_000), ("up", 49_000))]
# 50,000 bytes each way, but for client 2, which is missing from round 3.
LEDGER = [
    *START,
    *[
        (number, client, way, 50_000)
        for number in (1, 2, 3)
        for client in range(3)
        for way in ("down", "up")
        if (number, client, way) != (3, 2, "up")
    ],
]
ROUNDS = [
    (0, 0.40, 0.42, None, None, 0, 0.0, [], [], []),
    (1, 0.60, 0.62, 0.55, 0.10, 300_000, 2.0, [0, 1, 2], [], []),
    (2, 0.70, 0.74, 0.65, 0.08, 600_000, 4.0, [0, 2], [1], []),
    (3, 0.72, 0.73, 0.70, 0.05, 850_000, 6.5, [0, 1], [], [2]),
]
START_SECONDS = 1.5
# Strategies without a global model repeat the clients' mean as both accuracies.
OWN_ROUNDS = [
    (0, 0.10, 0.12, None, None, 0, 0.0, [], [], []),
    (1, 0.55, 0.55, 0.55, 0.10, 300_000, 2.0, [0, 1, 2], [], []),
]


def write_federation(
    folder: Path,
    *,
    rounds: list[tuple[Any, ...]] = ROUNDS,
    ledger: list[tuple[Any, ...]] = LEDGER,
    **changes: Any,
) -> Path:
    """Write ``spec.yaml`` and both tables; `changes` are those of `small`."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = make_spec(rounds=3, **changes)
    (folder / "spec.yaml").write_text(spec.to_yaml(), encoding="utf-8")
    rows = [(*row, START_SECONDS) for row in rounds]
    pl.DataFrame(rows, schema=ROUND_SCHEMA, orient="row").write_parquet(folder / "rounds.parquet")
    columns = ("round", "client", "direction", "message_bytes")
    pl.DataFrame(ledger, schema=columns, orient="row").write_parquet(folder / "ledger.parquet")
    return folder
