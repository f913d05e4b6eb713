"""What tuning was worth over how differently the clients' classes are distributed."""

from dataclasses import dataclass

import polars as pl

from limbeck.report.compute import tuning_worth
from limbeck.report.inputs import Study
from limbeck.report.wording import text_number, text_points, text_signed

# Below as many cases, or as many different splits, an order says little.
FEWEST_CASES = 4
FEWEST_SPLITS = 3


@dataclass(frozen=True, kw_only=True)
class Halves:
    """The worth of tuning in the cases below and from a divergence that parts them in two.

    Attributes:
        border: The smallest divergence of the upper half.
        below: Mean worth of the cases below it, a fraction.
        above: That of the others.
        num_below: How many cases are below.
        num_above: How many are not.
        rank_correlation: Spearman's, between divergence and worth over all cases.
    """

    border: float
    below: float
    above: float
    num_below: int
    num_above: int
    rank_correlation: float


def measure_skew(study: Study) -> dict[str, float]:
    """The mean divergence between the clients of each scenario's transfers, averaged over seeds."""
    divergences: dict[str, list[float]] = {}
    for entry in study.about["scenarios"]:
        if entry.get("part", "transfer") == "transfer":
            own = divergences.setdefault(entry["scenario"], [])
            own.append(entry["partition"]["mean_divergence"])
    return {scenario: sum(values) / len(values) for scenario, values in divergences.items()}


def worth_by_skew(study: Study) -> pl.DataFrame:
    """The rows of `tuning_worth` whose scenario the study describes, with its ``divergence``."""
    divergences = measure_skew(study)
    worth = tuning_worth(study.results)
    values = [divergences.get(scenario) for scenario in worth["scenario"]]
    return worth.with_columns(pl.Series("divergence", values, dtype=pl.Float64)).drop_nulls("divergence")


def halve_by_skew(worth: pl.DataFrame) -> Halves | None:
    """The two halves of the cases by divergence; None where they are too few to tell.

    The border is the median divergence, so that equal ones stay together.

    Args:
        worth: Rows of `worth_by_skew`.
    """
    if worth.height < FEWEST_CASES or worth["divergence"].n_unique() < FEWEST_SPLITS:
        return None
    border = float(worth.sort("divergence")["divergence"][worth.height // 2])
    below, above = (worth.filter(own)["worth_mean"] for own in _split(border))
    if not below.len() or worth["worth_mean"].n_unique() < FEWEST_SPLITS:
        return None
    return Halves(
        border=border,
        below=float(below.to_numpy().mean()),
        above=float(above.to_numpy().mean()),
        num_below=below.len(),
        num_above=above.len(),
        rank_correlation=float(worth.select(pl.corr("divergence", "worth_mean", method="spearman")).item()),
    )


def describe_skew(study: Study) -> str:
    """Where tuning mattered, by how far apart the clients' classes lie; empty where too few cases tell."""
    halves = halve_by_skew(worth_by_skew(study))
    if halves is None:
        return ""
    return (
        f"Where the clients' classes differ most (divergence {text_number(halves.border, 2)} or more, "
        f"{halves.num_above} cases), tuning was worth {text_points(halves.above)} points; in the "
        f"{halves.num_below} others {text_points(halves.below)} (rank correlation "
        f"{text_signed(halves.rank_correlation, 2)})."
    )


def _split(border: float) -> tuple[pl.Expr, pl.Expr]:
    is_above = pl.col("divergence") >= border
    return ~is_above, is_above
