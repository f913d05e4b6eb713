"""What tuning was worth by skew, on numbers that can be checked by hand."""

import polars as pl
import pytest

from limbeck.report.draw_evidence import SKEW_STEP, draw_worth_by_skew
from limbeck.report.inputs import Study, read_study
from limbeck.report.skew import describe_skew, halve_by_skew, measure_skew, worth_by_skew


def worths(*pairs: tuple[float, float]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"divergence": pl.Float64, "worth_mean": pl.Float64}, orient="row")


def test_the_halves_part_at_the_median_divergence():
    halves = halve_by_skew(worths((0.4, 0.05), (0.1, 0.01), (0.0, 0.0), (0.3, 0.03)))
    assert halves is not None
    assert (halves.border, halves.num_below, halves.num_above) == (0.3, 2, 2)
    assert (halves.below, halves.above) == pytest.approx((0.005, 0.04))
    assert halves.rank_correlation == pytest.approx(1.0)


def test_equal_divergences_stay_together():
    halves = halve_by_skew(worths((0.0, 0.0), (0.1, 0.02), (0.1, 0.01), (0.1, 0.03), (0.2, 0.0)))
    assert halves is not None
    assert (halves.num_below, halves.num_above) == (1, 4)


@pytest.mark.parametrize("pairs", [[(0.0, 0.1), (0.1, 0.2), (0.2, 0.3)], [(0.1, 0.1 * n) for n in range(6)]])
def test_few_cases_or_a_single_divergence_say_nothing(pairs):
    assert halve_by_skew(worths(*pairs)) is None


def test_a_scenario_has_the_mean_divergence_of_its_transfers_over_seeds(write_folder):
    study = read_study(write_folder(num_scenarios=2))
    entries = [dict(entry) for entry in study.about["scenarios"]]
    for entry in entries:
        level = 0.1 + 0.2 * entry["seed"] if entry["part"] == "transfer" else 0.9
        entry["partition"] = dict(entry["partition"]) | {"mean_divergence": level}
    study = Study(
        about=dict(study.about) | {"scenarios": entries},
        results=study.results,
        grid=study.grid,
        federation=study.federation,
    )
    assert measure_skew(study) == pytest.approx({"uniform": 0.2, "dirichlet-1.0": 0.2})
    assert worth_by_skew(study)["divergence"].to_list() == pytest.approx([0.2, 0.2])


def test_cases_of_one_split_stand_side_by_side(write_folder):
    worth = worth_by_skew(read_study(write_folder(num_scenarios=1)))
    both = pl.concat([worth, worth.with_columns(pl.lit("mlp").alias("student_arch"))])
    first, second = draw_worth_by_skew(both, ["a", "b"]).data
    assert second.x[0] - first.x[0] == pytest.approx(SKEW_STEP)
    assert (first.x[0] + second.x[0]) / 2 == pytest.approx(worth["divergence"][0])
    assert first.meta["scenarios"] == ["uniform"]


def test_the_sentence_names_both_halves(write_folder):
    sentence = describe_skew(read_study(write_folder(num_scenarios=6)))
    assert sentence.startswith("Where the clients' classes differ most (divergence 0.35 or more, 3 cases)")
    assert "in the 3 others" in sentence
    assert describe_skew(read_study(write_folder(num_scenarios=2))) == ""
