"""Hand-calculated tables of transfers."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.report.compute import (
    class_changes,
    forgetting_table,
    grid_surface,
    technique_table,
    tuning_pairs,
    tuning_worth,
)


def transfer(technique: str, seed: int, gain: float, **columns) -> dict:
    row = {
        "scenario": "uniform",
        "transfer_set": "student",
        "student_arch": "cnn",
        "teacher_arch": "cnn",
        "seed": seed,
        "student_client": 0,
        "teacher_client": 1,
        "technique": technique,
        "role": "student",
        "temperature": None,
        "weight": None,
        "gain": gain,
        "accuracy_before": 0.6,
        "accuracy_after": 0.6 + gain,
        "validation_after": 0.6 + gain,
        "teacher_accuracy": 0.7,
        "forgetting": 0.02,
        "positive_flips": 10,
        "negative_flips": 5,
        "num_test_samples": 100,
        "share_from_teacher": None,
        "seconds": 2.0,
        "class_accuracy_before": [0.5, None],
        "class_accuracy_after": [0.75, None],
    }
    return row | columns


def frame(*rows: dict) -> pl.DataFrame:
    reals = ("temperature", "weight", "share_from_teacher")
    return pl.DataFrame(list(rows)).with_columns(pl.col(*reals).cast(pl.Float64))


def test_technique_table_gives_mean_and_deviation_over_seeds():
    table = technique_table(frame(transfer("kd", 0, 0.02), transfer("kd", 1, 0.04), transfer("kd", 2, 0.09)))
    row = table.row(0, named=True)
    assert row["seeds"] == 3
    assert row["gain_mean"] == pytest.approx(0.05)
    # Squared differences 9e-4 + 1e-4 + 16e-4 = 26e-4, over n - 1 = 2, root.
    assert row["gain_sd"] == pytest.approx(0.0013**0.5)
    assert row["accuracy_after_mean"] == pytest.approx(0.65)


def test_technique_table_averages_pairs_of_clients_before_seeds():
    rows = frame(
        transfer("kd", 0, 0.00),
        transfer("kd", 0, 0.04, student_client=2),
        transfer("kd", 1, 0.06),
    )
    row = technique_table(rows).row(0, named=True)
    assert (row["seeds"], row["transfers"]) == (2, 3)
    assert row["gain_mean"] == pytest.approx(0.04)
    assert row["gain_sd"] == pytest.approx((2 * 0.02**2) ** 0.5)


def test_technique_table_has_no_deviation_for_one_seed_and_ignores_peers():
    rows = frame(transfer("dml", 0, 0.03), transfer("dml", 0, 0.5, role="peer"))
    row = technique_table(rows).row(0, named=True)
    assert row["gain_mean"] == pytest.approx(0.03)
    assert row["gain_sd"] is None


def test_transfer_sets_and_architectures_are_separate_cases():
    rows = frame(
        transfer("kd", 0, 0.01),
        transfer("kd", 0, 0.02, transfer_set="proxy"),
        transfer("kd", 0, 0.03, teacher_arch="resnet"),
    )
    assert technique_table(rows)["gain_mean"].to_list() == pytest.approx([0.01, 0.02, 0.03])


def test_the_best_untuned_technique_is_chosen_by_validation_and_never_by_test():
    rows = frame(
        transfer("tuned-kd", 0, 0.05, temperature=4.0, weight=0.9),
        transfer("kd", 0, 0.04, validation_after=0.61),
        transfer("dml", 0, 0.01, validation_after=0.66),
    )
    row = tuning_pairs(rows).row(0, named=True)
    assert row["untuned_technique"] == "dml"
    assert row["worth"] == pytest.approx(0.04)
    assert row["finetune_gain"] is None


def test_a_tie_on_validation_goes_to_the_technique_named_first():
    rows = frame(
        transfer("dp-kd", 0, 0.03, validation_after=0.7),
        transfer("kd", 0, 0.01, validation_after=0.7),
        transfer("tuned-kd", 0, 0.05),
    )
    assert tuning_pairs(rows)["untuned_technique"].to_list() == ["kd"]


def test_tuning_worth_has_the_t_interval_of_a_statistics_table():
    rows = frame(
        *(transfer("tuned-kd", seed, gain) for seed, gain in enumerate((0.05, 0.06, 0.07))),
        *(transfer("kd", seed, gain) for seed, gain in enumerate((0.04, 0.04, 0.04))),
        *(transfer("finetune", seed, 0.08) for seed in range(3)),
    )
    row = tuning_worth(rows).row(0, named=True)
    # Differences 1, 2, 3 points: mean 2, deviation 1; t(0.975, 2) = 4.302653 in any table.
    half_width = 4.302653 * 0.01 / 3**0.5
    assert row["worth_mean"] == pytest.approx(0.02)
    assert row["worth_sd"] == pytest.approx(0.01)
    assert row["worth_low"] == pytest.approx(0.02 - half_width, abs=1e-7)
    assert row["worth_high"] == pytest.approx(0.02 + half_width, abs=1e-7)
    assert row["relative_percent"] == pytest.approx(50.0)
    assert row["over_finetune_mean"] == pytest.approx(-0.02)
    assert row["untuned_techniques"] == ["kd"]


def test_tuning_worth_of_one_seed_has_no_interval_and_no_ratio_to_a_loss():
    row = tuning_worth(frame(transfer("tuned-kd", 0, 0.02), transfer("kd", 0, -0.01))).row(0, named=True)
    assert row["worth_mean"] == pytest.approx(0.03)
    assert [row[name] for name in ("worth_sd", "worth_low", "worth_high", "relative_percent")] == [None] * 4


def test_tuning_worth_is_empty_without_tuned_kd():
    assert tuning_worth(frame(transfer("kd", 0, 0.02))).height == 0


def test_forgetting_table_counts_flips_as_shares_of_the_test_samples():
    rows = frame(
        transfer("kd", 0, 0.05, forgetting=0.01), transfer("kd", 1, 0.05, forgetting=0.03, negative_flips=15)
    )
    row = forgetting_table(rows).row(0, named=True)
    assert row["forgetting_mean"] == pytest.approx(0.02)
    assert row["forgetting_sd"] == pytest.approx(0.02 / 2**0.5)
    assert row["positive_share_mean"] == pytest.approx(0.10)
    assert row["negative_share_mean"] == pytest.approx(0.10)


def test_class_changes_skip_classes_that_the_test_set_lacks():
    rows = frame(
        transfer("kd", 0, 0.05),
        transfer("kd", 1, 0.05, class_accuracy_before=[0.5, 1.0], class_accuracy_after=[0.25, 0.5]),
    )
    changes = class_changes(rows).sort("class_index")
    assert changes["class_index"].to_list() == [0, 1]
    assert changes["change"].to_list() == pytest.approx([0.0, -0.5])


def setting(temperature: float, weight: float, seed: int, gain: float, validation: float) -> dict:
    return {
        "scenario": "uniform",
        "transfer_set": "student",
        "student_arch": "cnn",
        "teacher_arch": "cnn",
        "seed": seed,
        "student_client": 0,
        "teacher_client": 1,
        "temperature": temperature,
        "weight": weight,
        "gain": gain,
        "forgetting": 0.0,
        "validation_after": validation,
    }


def test_grid_surface_averages_seeds_and_marks_the_best_by_validation():
    grid = pl.DataFrame(
        [
            setting(1.0, 0.5, 0, 0.08, 0.60),
            setting(1.0, 0.5, 1, 0.10, 0.62),
            setting(4.0, 0.9, 0, 0.01, 0.70),
            setting(4.0, 0.9, 1, 0.03, 0.64),
        ]
    )
    surface = grid_surface(grid)
    assert surface["gain"].to_list() == pytest.approx([0.09, 0.02])
    assert surface["is_best"].to_list() == [False, True]
    assert surface["is_vanilla"].to_list() == [True, False]


def test_a_tie_on_the_surface_goes_to_the_lower_temperature():
    grid = pl.DataFrame([setting(8.0, 0.9, 0, 0.1, 0.7), setting(2.0, 0.9, 0, 0.0, 0.7)])
    assert grid_surface(grid).filter("is_best")["temperature"].to_list() == [2.0]


@given(gains=st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=6))
@settings(deadline=None, max_examples=25)
def test_the_interval_is_centred_on_the_mean_and_shrinks_to_it_without_spread(gains):
    rows = frame(
        *(transfer("tuned-kd", seed, gain) for seed, gain in enumerate(gains)),
        *(transfer("kd", seed, 0.0) for seed in range(len(gains))),
    )
    row = tuning_worth(rows).row(0, named=True)
    assert row["worth_low"] + row["worth_high"] == pytest.approx(2 * row["worth_mean"], abs=1e-9)
    assert row["worth_low"] <= row["worth_mean"] + 1e-12
