"""Differences between techniques, calculated by hand."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.test_compute import frame, transfer

from limbeck.report.statistics import effect_table, headline_figures, paired_differences


def split(technique: str, seed: int, gain: float, **columns) -> dict:
    return transfer(technique, seed, gain, **{"strategy": "uniform", **columns})


def pair_of_models(seed: int, *, tuned: float, kd: float, finetune: float, **columns) -> list[dict]:
    settings = {"temperature": 4.0, "weight": 0.3}
    return [
        split("tuned-kd", seed, tuned, **settings, **columns),
        split("kd", seed, kd, **columns),
        split("finetune", seed, finetune, **columns),
    ]


def test_an_effect_is_the_mean_difference_to_finetune_on_the_same_models():
    rows = [
        *pair_of_models(0, tuned=0.05, kd=0.02, finetune=0.01),
        *pair_of_models(1, tuned=0.07, kd=0.00, finetune=0.01),
    ]
    tuned, kd = effect_table(frame(*rows)).iter_rows(named=True)
    assert (tuned["technique"], tuned["transfers"], tuned["groups"]) == ("tuned-kd", 2, 2)
    assert tuned["effect"] == pytest.approx(0.05)
    assert tuned["better"] == 1.0
    # Two groups drawn twice: their mean is one group's or the other's in a quarter of the draws each.
    assert (tuned["low"], tuned["high"]) == pytest.approx((0.04, 0.06))
    assert (kd["effect"], kd["better"]) == pytest.approx((0.0, 0.5))


def test_transfers_of_one_split_are_drawn_together():
    rows = [
        row
        for seed, gain in ((0, 0.02), (1, 0.06))
        for arch in ("cnn", "mlp")
        for row in pair_of_models(seed, tuned=gain, kd=0.0, finetune=0.0, student_arch=arch)
    ]
    tuned = effect_table(frame(*rows)).row(0, named=True)
    assert (tuned["transfers"], tuned["groups"]) == (4, 2)
    assert (tuned["low"], tuned["high"]) == pytest.approx((0.02, 0.06))


def test_a_single_split_has_no_interval():
    row = effect_table(frame(*pair_of_models(0, tuned=0.05, kd=0.02, finetune=0.01))).row(0, named=True)
    assert (row["low"], row["high"]) == (None, None)


def test_without_the_baseline_there_is_no_effect():
    assert effect_table(frame(split("kd", 0, 0.02))).is_empty()


def test_the_headline_figures_are_ratios_of_summed_gains_by_kind_of_split():
    skewed = {"scenario": "dirichlet", "strategy": "dirichlet"}
    rows = [
        *pair_of_models(0, tuned=0.03, kd=0.02, finetune=0.0),
        *pair_of_models(1, tuned=0.03, kd=0.03, finetune=0.0),
        *pair_of_models(0, tuned=0.10, kd=0.02, finetune=0.0, **skewed),
        *pair_of_models(1, tuned=0.08, kd=0.04, finetune=0.0, **skewed),
    ]
    uniform, others = headline_figures(frame(*rows))
    assert (uniform.is_iid, uniform.paper_percent) == (True, 16.0)
    assert uniform.percent is not None
    assert uniform.percent.value == pytest.approx(20)
    assert (uniform.percent.low, uniform.percent.high) == pytest.approx((0, 50))
    assert (others.is_iid, others.paper_percent) == (False, 139.0)
    assert others.percent is not None
    assert others.percent.value == pytest.approx(200)
    assert others.points.value == pytest.approx(0.06)


def test_no_ratio_is_made_of_an_untuned_loss():
    (figure,) = headline_figures(frame(*pair_of_models(0, tuned=0.03, kd=-0.02, finetune=0.0)))
    assert figure.percent is None
    assert figure.points.value == pytest.approx(0.05)


@settings(max_examples=20, deadline=None)
@given(shift=st.floats(-0.2, 0.2), gains=st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=6))
def test_what_both_sides_share_cancels(shift: float, gains: list[float]):
    def differences(added: float) -> pl.Series:
        rows = [
            row
            for seed, gain in enumerate(gains)
            for row in pair_of_models(seed, tuned=gain + added, kd=added, finetune=added)
        ]
        return paired_differences(frame(*rows))["difference"]

    assert differences(shift).to_list() == pytest.approx(differences(0.0).to_list())


def test_the_same_results_give_the_same_intervals():
    rows = [
        row
        for seed in range(5)
        for row in pair_of_models(seed, tuned=0.01 * seed, kd=0.0, finetune=0.001 * seed**2)
    ]
    assert effect_table(frame(*rows)).equals(effect_table(frame(*rows)))
