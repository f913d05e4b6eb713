"""Hand-calculated rounds-to-target."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.report.rounds import (
    federated_curves,
    rounds_saved,
    rounds_to_target,
    strategies_saved,
    summarise_rounds,
    total_savings,
)


def run(start: str, seed: int, accuracies: list[float], strategy: str = "fedavg", **columns) -> list[dict]:
    is_made = start != "scratch"
    return [
        {
            "run_id": f"{start}-{seed}-{strategy}",
            "scenario": "uniform",
            "arch": "cnn",
            "start": start,
            "federated_strategy": strategy,
            "seed": seed,
            "round": number,
            "accuracy": accuracy,
            "bytes_sent": 100.0 * number,
            "seconds": 2.0 * number,
            "start_bytes": 30.0 * is_made,
            "start_seconds": 5.0 * is_made,
            "pretrain_seconds": 7.0 * is_made,
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


def test_a_start_costs_what_its_rows_say():
    row = rounds_to_target(federation(run("scratch", 0, [0.1, 0.7])), [0.7]).row(0, named=True)
    assert (row["bytes_with_start"], row["seconds_with_start"]) == (100.0, 2.0)
    private = run("scratch", 0, [0.1, 0.7], "fedmd", pretrain_seconds=7.0)
    row = rounds_to_target(federation(private), [0.7]).row(0, named=True)
    assert (row["bytes_with_start"], row["seconds_with_start"]) == (100.0, 9.0)


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


def needs(rounds: int, of: int = 6) -> list[float]:
    """Accuracies of a run that reaches 0.7 after so many of its rounds."""
    return [0.7 if number >= rounds else 0.1 for number in range(of + 1)]


def test_a_start_is_compared_with_the_same_strategy_only():
    frame = federation(
        run("scratch", 0, needs(4)),
        run("hub", 0, needs(2)),
        run("scratch", 0, needs(6), "fedprox"),
        run("best-client", 0, needs(3), "fedprox"),
        run("hub", 0, needs(3), "fedprox"),
    )
    saved = rounds_saved(rounds_to_target(frame, [0.7])).filter(pl.col("start") == "hub")
    assert saved["federated_strategy"].to_list() == ["fedavg", "fedprox"]
    assert saved["scratch_saved"].to_list() == [2.0, 3.0]
    assert saved["scratch_saved_percent"].to_list() == [50.0, 50.0]
    assert saved["naive_start"].to_list() == [None, "best-client"]
    assert saved["naive_saved"].to_list() == [None, 0.0]


def test_a_strategy_is_compared_with_the_first_from_the_same_start_and_seed():
    frame = federation(
        run("hub", 0, needs(4)),
        run("hub", 1, needs(2)),
        run("hub", 0, needs(1), "fedprox"),
        run("hub", 1, needs(1), "fedprox"),
        run("chain", 0, needs(1), "fedprox"),
    )
    saved = strategies_saved(rounds_to_target(frame, [0.7]))
    rows = {(row["federated_strategy"], row["start"]): row for row in saved.iter_rows(named=True)}
    row = rows["fedprox", "hub"]
    assert (row["first_rounds"], row["first_saved"]) == (3.0, 2.0)
    assert row["first_saved_sd"] == pytest.approx(2**0.5)
    assert row["first_saved_percent"] == pytest.approx(200 / 3)
    assert rows["fedavg", "hub"]["first_saved"] == 0.0
    assert rows["fedprox", "chain"]["first_saved"] is None


def test_total_savings_sum_rounds_over_scenarios_and_spread_over_seeds():
    frame = federation(
        *(
            run(start, seed, needs(rounds), scenario=scenario)
            for scenario, start, both in (
                ("uniform", "scratch", (4, 5)),
                ("uniform", "hub", (1, 5)),
                ("skewed", "scratch", (6, 5)),
                ("skewed", "hub", (4, 3)),
            )
            for seed, rounds in enumerate(both)
        )
    )
    row = total_savings(rounds_to_target(frame, [0.7])).row(1, named=True)
    assert (row["federated_strategy"], row["start"]) == ("fedavg", "hub")
    # Uniform: mean 4.5 to 3, skewed 5.5 to 3.5. Seed 0 saves 3 + 2 of 10 rounds, seed 1 0 + 2 of 10.
    assert row["scratch_percent"] == pytest.approx(100 * (1.5 + 2) / 10)
    assert row["scratch_sd"] == pytest.approx((2 * 15.0**2) ** 0.5)
    assert (row["scratch_goals"], row["scratch_better"], row["scratch_bounded"]) == (2, 2, False)
    assert row["naive_percent"] is None


def test_total_savings_leave_out_what_nobody_reached_and_say_where_a_bound_is_in_them():
    frame = federation(run("scratch", 0, [0.1, 0.2, 0.3]), run("hub", 0, [0.1, 0.2, 0.25]))
    row = total_savings(rounds_to_target(frame, [0.2, 0.3, 0.9])).row(1, named=True)
    # 0.2: one round each. 0.3: scratch in 2, the hub at least in 3. 0.9: neither.
    assert (row["scratch_goals"], row["scratch_better"], row["scratch_bounded"]) == (2, 0, True)
    assert row["scratch_percent"] == pytest.approx(-100 / 3)
    assert row["scratch_sd"] is None


def test_a_curve_ends_with_the_first_seed_that_stopped():
    frame = federation(run("hub", 0, [0.5, 0.9]), run("hub", 1, [0.3, 0.4, 0.5, 0.9]))
    curve = federated_curves(frame)
    assert curve["round"].to_list() == [0, 1]
    assert curve["accuracy_mean"].to_list() == pytest.approx([0.4, 0.65])
    assert curve["seeds"].to_list() == [2, 2]


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
