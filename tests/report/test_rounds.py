"""Hand-calculated rounds-to-target."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.report.rounds import federated_curves, rounds_saved, rounds_to_target, summarise_rounds


def run(start: str, seed: int, accuracies: list[float], **columns) -> list[dict]:
    return [
        {
            "run_id": f"{start}-{seed}",
            "scenario": "uniform",
            "arch": "cnn",
            "start": start,
            "seed": seed,
            "round": number,
            "accuracy": accuracy,
            "bytes_sent": 100.0 * number,
            "seconds": 2.0 * number,
            "start_bytes": 30.0,
            "start_seconds": 5.0,
            "pretrain_seconds": 7.0,
        }
        | columns
        for number, accuracy in enumerate(accuracies)
    ]


def federation(*runs: list[dict]) -> pl.DataFrame:
    return pl.DataFrame([row for rows in runs for row in rows])


def test_the_first_round_at_the_target_counts_even_when_accuracy_falls_again():
    row = rounds_to_target(federation(run("hub", 0, [0.5, 0.7, 0.6, 0.8])), [0.7]).row(0, named=True)
    assert (row["rounds"], row["bytes"], row["seconds"]) == (1, 100.0, 2.0)
    assert (row["bytes_with_start"], row["seconds_with_start"]) == (130.0, 14.0)
    assert row["reached"]


def test_a_start_that_is_good_enough_needs_no_round():
    row = rounds_to_target(federation(run("hub", 0, [0.75, 0.7])), [0.7]).row(0, named=True)
    assert (row["rounds"], row["bytes"], row["seconds_with_start"]) == (0, 0.0, 12.0)


def test_scratch_pays_nothing_for_its_start():
    row = rounds_to_target(federation(run("scratch", 0, [0.1, 0.7])), [0.7]).row(0, named=True)
    assert (row["bytes_with_start"], row["seconds_with_start"]) == (100.0, 2.0)


def test_a_target_never_reached_is_null_and_counts_as_one_round_more_than_were_run():
    rounds = rounds_to_target(federation(run("hub", 0, [0.1, 0.2, 0.3])), [0.7])
    row = rounds.row(0, named=True)
    assert [row[name] for name in ("rounds", "bytes", "seconds", "bytes_with_start")] == [None] * 4
    assert (row["rounds_run"], row["reached"]) == (2, False)
    summary = summarise_rounds(rounds).row(0, named=True)
    assert (summary["mean_rounds"], summary["bytes"], summary["seconds_with_start"]) == (3.0, 200.0, 16.0)


def test_the_summary_counts_seeds_and_takes_median_and_mean():
    frame = federation(
        run("hub", 0, [0.1, 0.8, 0.8, 0.8, 0.8]),
        run("hub", 1, [0.1, 0.1, 0.8, 0.8, 0.8]),
        run("hub", 2, [0.1, 0.1, 0.1, 0.1, 0.1]),
    )
    row = summarise_rounds(rounds_to_target(frame, [0.7])).row(0, named=True)
    assert (row["seeds"], row["reached"]) == (3, 2)
    assert row["median_rounds"] == 2.0
    assert row["mean_rounds"] == pytest.approx((1 + 2 + 5) / 3)


def saved_of(frame: pl.DataFrame, start: str) -> dict:
    saved = rounds_saved(rounds_to_target(frame, [0.7]))
    return saved.row(by_predicate=pl.col("start") == start, named=True)


def test_savings_compare_with_scratch_and_with_the_best_naive_start():
    frame = federation(
        run("scratch", 0, [0.1, 0.2, 0.3, 0.4, 0.7]),
        run("best-client", 0, [0.3, 0.4, 0.5, 0.7]),
        run("weight-average", 0, [0.5, 0.6, 0.7]),
        run("hub", 0, [0.6, 0.7]),
    )
    row = saved_of(frame, "hub")
    assert (row["scratch_rounds"], row["scratch_saved"], row["scratch_saved_percent"]) == (4.0, 3.0, 75.0)
    assert (row["naive_start"], row["naive_saved"], row["naive_saved_percent"]) == (
        "weight-average",
        1.0,
        50.0,
    )
    assert (row["scratch_bound"], row["naive_bound"]) == ("exact", "exact")


def test_a_saving_says_whether_it_is_a_bound():
    never, reaches = [0.1, 0.2, 0.3], [0.1, 0.7, 0.7]
    assert (
        saved_of(federation(run("scratch", 0, never), run("hub", 0, reaches)), "hub")["scratch_bound"]
        == "at least"
    )
    assert (
        saved_of(federation(run("scratch", 0, reaches), run("hub", 0, never)), "hub")["scratch_bound"]
        == "at most"
    )
    assert (
        saved_of(federation(run("scratch", 0, never), run("hub", 0, never)), "hub")["scratch_bound"]
        == "unknown"
    )


def test_without_naive_starts_that_comparison_is_null():
    row = saved_of(federation(run("scratch", 0, [0.1, 0.7]), run("hub", 0, [0.7])), "hub")
    assert row["naive_start"] is None
    assert row["naive_saved"] is None


def test_a_reference_that_needs_no_round_gives_no_percentage():
    row = saved_of(federation(run("weight-average", 0, [0.7]), run("hub", 0, [0.6, 0.7])), "hub")
    assert row["naive_saved"] == -1.0
    assert row["naive_saved_percent"] is None


def test_no_targets_and_no_rows_give_empty_tables():
    frame = federation(run("hub", 0, [0.7]))
    assert rounds_to_target(frame, []).height == 0
    empty = rounds_to_target(frame.clear(), [0.7])
    assert empty.height == 0
    assert rounds_saved(empty).height == 0


def test_curves_average_over_seeds_with_and_without_the_start():
    frame = federation(run("hub", 0, [0.5, 0.6]), run("hub", 1, [0.7, 0.8]))
    row = federated_curves(frame).row(1, named=True)
    assert (row["round"], row["seeds"]) == (1, 2)
    assert row["accuracy_mean"] == pytest.approx(0.7)
    assert row["accuracy_sd"] == pytest.approx(0.02**0.5)
    assert (row["bytes"], row["bytes_with_start"], row["seconds_with_start"]) == (100.0, 130.0, 14.0)


@given(accuracies=st.lists(st.floats(0, 1), min_size=1, max_size=12), target=st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_the_round_found_is_the_first_that_a_plain_loop_finds(accuracies, target):
    row = rounds_to_target(federation(run("hub", 0, accuracies)), [target]).row(0, named=True)
    expected = next((number for number, value in enumerate(accuracies) if value >= target), None)
    assert row["rounds"] == expected
