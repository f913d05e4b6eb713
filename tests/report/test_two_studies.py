"""Two studies beside each other: only what both ran is compared, and the rest is named."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from tests.report.conftest import write_study_folder

from limbeck.core.errors import InputError
from limbeck.report import build_two_studies_page
from limbeck.report.two_studies import (
    list_changes,
    list_effects,
    list_unmatched,
    match_rounds,
    read_two_studies,
    sum_up_pairs,
)
from limbeck.report.two_studies_page import describe_differences, warn_of_differences
from limbeck.report.two_studies_tables import tabulate_both_rounds, tabulate_ends, tabulate_gains


def edit(folder: Path, name: str, *columns: pl.Expr, keep: pl.Expr | None = None) -> None:
    frame = pl.read_parquet(folder / f"{name}.parquet")
    frame = frame if keep is None else frame.filter(keep)
    frame.with_columns(*columns).write_parquet(folder / f"{name}.parquet")


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """The same study twice, the second one with other names."""
    first, second = (
        write_study_folder(tmp_path / name, num_scenarios=2, seeds=(0, 1, 2), name=name)
        for name in ("first", "second")
    )
    return first, second


def test_a_study_beside_itself_differs_nowhere(folders):
    two = read_two_studies(*folders)
    assert two.transfers.height == 2 * 3 * 6
    assert two.federations.height == 2 * 3 * 5
    assert set(two.transfers["gain_difference"]) == set(two.federations["accuracy_difference"]) == {0.0}
    assert set(match_rounds(two)["rounds_difference"]) == {0.0}
    assert warn_of_differences(two) == []
    assert [name for name, _, _ in list_changes(two)] == ["name"]


def test_differences_are_the_second_minus_the_first_by_seed(folders):
    added = pl.when(pl.col("technique") == "kd").then(0.01 * (1 + pl.col("seed"))).otherwise(0.0)
    edit(folders[1], "results", pl.col("gain") + added)
    two = read_two_studies(*folders)
    table = sum_up_pairs(two.transfers, ("scenario", "technique"), "gain")
    row = table.row(
        by_predicate=(pl.col("technique") == "kd") & (pl.col("scenario") == "uniform"), named=True
    )
    assert (row["pairs"], row["seeds"]) == (3, 3)
    assert row["difference_mean"] == pytest.approx(0.02)
    # Differences 0.01, 0.02, 0.03: sd 0.01, t(0.975, 2) = 4.3027, over the root of 3.
    assert row["difference_high"] - row["difference_mean"] == pytest.approx(0.024841, abs=1e-6)
    effects = {row["technique"]: row for row in list_effects(two.transfers).iter_rows(named=True)}
    assert effects["kd"]["effect"] == pytest.approx(0.02)
    assert effects["kd"]["low"] > 0
    assert effects["dml"]["effect"] == 0
    assert (
        "Of 6 techniques, by intervals that leave 0 out, second gained more for KD."
        in describe_differences(two)
    )
    assert tabulate_gains(two).rows[1][:3] == ("Uniform", "KD", "3")
    assert tabulate_gains(two).rows[1][5] == "+2.0"


def test_what_only_one_has_is_left_out_and_named(folders):
    edit(folders[0], "results", keep=pl.col("technique") != "dml")
    edit(folders[1], "results", keep=(pl.col("seed") < 2) & (pl.col("scenario") == "uniform"))
    edit(folders[1], "federation", keep=pl.col("start") != "hub")
    two = read_two_studies(*folders)
    assert two.transfers.height == 2 * 5
    found = {kind: (shared, first, second) for kind, shared, first, second in list_unmatched(two)}
    assert found["Techniques"][1:] == ([], ["dml"])
    assert found["Seeds"] == (["0", "1", "2"], [], [])
    assert found["Starts"][1:] == (["hub"], [])
    assert "Alone, first has 1 start; second has 1 technique." in describe_differences(two)


def test_federations_are_compared_after_the_last_round_of_both(folders):
    edit(folders[1], "federation", pl.col("accuracy") + 0.1, keep=pl.col("round") <= 2)
    two = read_two_studies(*folders)
    assert set(two.federations["round"]) == {2}
    assert two.federations["accuracy_difference"].to_list() == pytest.approx([0.1] * 30)
    assert tabulate_ends(two).rows[0][-2:] == ("+10.0", "+10.0 to +10.0")
    assert "differ by +10.0 points of test accuracy on average (higher in 30 of 30 federations)" in "".join(
        describe_differences(two)
    )


def test_rounds_are_compared_for_targets_of_both_and_marked_where_one_was_never_reached(folders):
    about = json.loads((folders[1] / "study.json").read_text())
    (folders[1] / "study.json").write_text(json.dumps(about | {"targets": [0.75, 0.99]}))
    for folder, rate in zip(folders, (0.1, 0.2), strict=True):
        edit(folder, "federation", (0.5 + rate * pl.col("round")).alias("accuracy"))
    two = read_two_studies(*folders)
    rounds = match_rounds(two)
    assert set(rounds["target"]) == {0.75}
    # 0.5 + 0.1 r reaches 0.75 at r = 3, 0.5 + 0.2 r at r = 2.
    assert set(rounds["rounds_first"]) == {3.0}
    assert set(rounds["rounds_second"]) == {2.0}
    assert not rounds["is_bound"].any()
    edit(folders[1], "federation", pl.lit(0.1).alias("accuracy"))
    two = read_two_studies(*folders)
    # Never reached within 4 rounds: counted as 5.
    assert set(match_rounds(two)["rounds_second"]) == {5.0}
    assert tabulate_both_rounds(two).rows[0][3] == "≈\N{NARROW NO-BREAK SPACE}3"


def test_other_data_and_other_splits_are_warned_of(folders):
    about = json.loads((folders[1] / "study.json").read_text())
    about["data"]["fingerprint"] = "0" * 16
    (folders[1] / "study.json").write_text(json.dumps(about))
    edit(folders[1], "results", pl.lit("other").alias("partition_hash"))
    different, splits = warn_of_differences(read_two_studies(*folders))
    assert "different data" in different
    assert splits.startswith("36 of 66 matched runs had other splits")


def test_settings_that_differ_are_listed_by_their_path(folders):
    about = json.loads((folders[1] / "study.json").read_text())
    about["spec"]["data"] = {"name": "digits"}
    about["spec"]["scenarios"] = [{"alpha": 0.1}]
    about["versions"]["torch"] = "3.0"
    (folders[1] / "study.json").write_text(json.dumps(about))
    changes = {name: (first, second) for name, first, second in list_changes(read_two_studies(*folders))}
    assert changes["data.name"] == ("fashion-mnist", "digits")
    assert changes["scenarios[0].alpha"] == ("", "0.1")
    assert changes["version of torch"] == ("2.9.1", "3.0")


def test_studies_with_nothing_in_common_are_refused(folders):
    for name in ("results", "federation"):
        edit(folders[1], name, pl.lit("elsewhere").alias("scenario"))
    with pytest.raises(InputError, match=r"must share a transfer or a federation.*uniform.*elsewhere"):
        read_two_studies(*folders)


def test_studies_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for name in ("a", "b"):
        write_study_folder(tmp_path / name, num_scenarios=1)
    assert read_two_studies(tmp_path / "a", tmp_path / "b").names == ("a", "b")


def test_the_page_has_both_parts_and_escapes_its_names(tmp_path):
    for name in ("a", "b"):
        write_study_folder(tmp_path / name, num_scenarios=2, name=f"<b>{name}", num_strategies=2)
    page = build_two_studies_page(tmp_path / "a", tmp_path / "b", tmp_path / "out" / "page.html").read_text()
    assert re.findall(r'<section id="([a-z]+)"', page) == [
        "findings",
        "techniques",
        "federated",
        "alone",
        "changes",
        "reading",
    ]
    assert "<b>a" not in page.split("<script")[0]
    assert "&lt;b&gt;a and &lt;b&gt;b" in page


def test_transfers_alone_make_a_page_without_a_federated_part(tmp_path):
    for name in ("a", "b"):
        write_study_folder(tmp_path / name, num_scenarios=1, num_rounds=0, seeds=(0,))
    page = build_two_studies_page(tmp_path / "a", tmp_path / "b", tmp_path / "page.html").read_text()
    assert 'id="federated"' not in page
    assert "a single split gives no interval" in page
