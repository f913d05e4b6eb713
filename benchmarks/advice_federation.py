"""How good is the advice on federations? Each scenario is left out in turn and advised on from the others."""

from typing import Any

import numpy as np
import polars as pl

from limbeck.advise.federation import (
    OPTION,
    SPLIT,
    Federations,
    compare_rounds,
    list_options,
    needs_proxy,
    rank_options,
)
from limbeck.advise.measured import Measured
from limbeck.advise.predict import fit_scale, list_values
from limbeck.advise.table import FEDERATION_FEATURES


def judge_federations(measured: Measured) -> dict[str, Any]:
    """Rounds to target under the advice and its rivals, as a share of those of FedAvg from scratch.

    What was measured on a split counts by its mean over targets. A rival is compared with the advice on the
    splits that it was measured on, where these are at least half of all. Nothing that needs a proxy set takes
    part.
    """
    found = compare_rounds(measured.federations)
    options = [option for option in list_options(found.table) if not needs_proxy(*option)]
    means = found.table.group_by(*SPLIT, *OPTION).agg(pl.col("share").mean())
    shares = {(row[:3], row[3:5]): row[5] for row in means.iter_rows()}
    splits = found.table.select(*SPLIT).unique(maintain_order=True).rows()
    advised = {split: shares[split, _advise_split(found.table, split, options, shares)] for split in splits}
    best = [min(shares[split, option] for option in options if (split, option) in shares) for split in splits]
    rivals = {}
    for strategy, start in options:
        own = [split for split in splits if (split, (strategy, start)) in shares]
        if 2 * len(own) >= len(splits):
            rivals[f"{start}, {strategy}"] = {
                "rival": float(np.mean([shares[split, (strategy, start)] for split in own])),
                "advice": float(np.mean([advised[split] for split in own])),
                "num_splits": len(own),
            }
    return {
        "advice": float(np.mean(list(advised.values()))),
        "best possible": float(np.mean(best)),
        "rivals": dict(sorted(rivals.items(), key=lambda item: item[1]["rival"])),
        "num_splits": len(splits),
        "num_scenarios": len({scenario for _, scenario, _ in splits}),
    }


def _advise_split(
    table: pl.DataFrame,
    split: tuple[Any, ...],
    options: list[tuple[str, str]],
    shares: dict[Any, float],
) -> tuple[str, str]:
    """The option that other scenarios recommend, of those that were measured on the split."""
    study, scenario, seed = split
    others = table.filter(pl.col("scenario") != scenario)
    own = table.filter(pl.col("study") == study, pl.col("scenario") == scenario, pl.col("seed") == seed)
    there = Federations(table=others, scale=fit_scale(others, FEDERATION_FEATURES))
    distances = there.scale.measure_distances(list_values(own, there.scale.names)[:1])[0]
    measured_here = [option for option in options if (split, option) in shares]
    first = rank_options(there, distances, np.inf, measured_here)[0]
    return first.strategy, first.start
