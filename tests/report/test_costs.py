"""Costs, effects, settings and what a budget left out, on numbers that can be checked by hand."""

import json

import polars as pl
import pytest
from tests.report.test_compute import frame, transfer

from limbeck.report import build
from limbeck.report.answers import describe_settings, note_scenarios, write_answers
from limbeck.report.budget import describe_budget, tabulate_budget
from limbeck.report.costs import federation_costs, tabulate_transfer_costs, transfer_costs
from limbeck.report.evidence import describe_effect, tabulate_effects, tabulate_headline
from limbeck.report.inputs import Study, read_study

SHARES = [
    {"part": "transfer", "axis": "scenario", "value": "uniform", "kept": 3, "left_out": 1},
    {"part": "federated", "axis": "start", "value": "hub", "kept": 0, "left_out": 2},
    {"part": "transfer", "axis": "scenario", "value": "dirichlet-1.0", "kept": 1, "left_out": 3},
]


def test_a_search_costs_all_points_of_its_grid():
    results = frame(
        transfer("finetune", 0, 0.0, seconds=2.0),
        transfer("tuned-kd", 0, 0.1, seconds=3.0),
        transfer("tuned-kd", 1, 0.1, seconds=5.0),
    )
    grid = pl.DataFrame({"seconds": [3.0, 4.0, 5.0, 6.0]})
    finetune, tuned = transfer_costs(results, grid).iter_rows(named=True)
    assert (finetune["seconds_mean"], finetune["search_mean"], finetune["seconds_total"]) == (2.0, None, 2.0)
    assert (tuned["seconds_mean"], tuned["search_mean"], tuned["seconds_total"]) == (4.0, 9.0, 18.0)


def test_a_round_costs_the_mean_over_all_rounds(write_folder):
    federation = read_study(write_folder(num_scenarios=1)).federation
    costs = {row["start"]: row for row in federation_costs(federation).iter_rows(named=True)}
    assert costs["hub"]["round_bytes"] == pytest.approx(2_400_000)
    assert costs["hub"]["round_seconds"] == pytest.approx(4.1)
    assert (costs["hub"]["start_bytes"], costs["hub"]["start_seconds"]) == (1_200_000, 31.0)
    assert (costs["scratch"]["pretrain_seconds"], costs["hub"]["pretrain_seconds"]) == (0.0, 58.0)
    assert costs["hub"]["runs"] == 2


def test_costs_are_shown_as_multiples_of_finetuning(write_folder):
    study = read_study(write_folder())
    seconds = pl.when(pl.col("technique") == "finetune").then(2.0).otherwise(5.0).alias("seconds")
    study = Study(
        about=study.about,
        results=study.results.with_columns(seconds),
        grid=study.grid,
        federation=study.federation,
    )
    rows = {row[0]: row for row in tabulate_transfer_costs(study).rows}
    assert rows["finetune"][3] == "1.00"
    assert rows["DP-KD"][2:4] == ("5.0 s", "2.50")
    # Four settings of 3.2 s for each pair of models.
    assert rows["tuned KD"][4] == "12.8 s"


def test_the_best_single_setting_is_chosen_by_validation_and_stands_beside_vanilla(write_folder):
    study = read_study(write_folder(temperatures=(1.0, 4.0), weights=(0.5, 0.9)))
    setting = (pl.col("temperature") == 4.0) & (pl.col("weight") == 0.5)
    grid = study.grid.with_columns(
        pl.when(setting).then(0.9).otherwise(0.5).alias("validation_after"),
        pl.when(setting).then(0.021).otherwise(0.034).alias("gain"),
    )
    study = Study(about=study.about, results=study.results, grid=grid, federation=study.federation)
    sentence = describe_settings(study)
    assert sentence.startswith(
        "The best single setting by validation was T = 4, w = 0.5: +2.1 points on average over 2 scenarios, "
        "against +3.4 with T = 1 and w = 0.5."
    )
    assert sentence.endswith("Chosen for each of 4 pairs of models, the middle half has T = 4 and w = 0.9.")


def test_answers_are_left_out_where_the_study_says_nothing(write_folder):
    questions = [answer.question for answer in write_answers(read_study(write_folder(num_scenarios=6)))]
    assert questions == [
        "Which technique?",
        "Which settings?",
        "When does tuning matter?",
        "What is forgotten?",
        "Does a distilled start pay?",
    ]
    folder = write_folder(num_rounds=0, temperatures=())
    path = folder / "results.parquet"
    pl.read_parquet(path).filter(pl.col("technique") == "kd").write_parquet(path)
    assert [answer.question for answer in write_answers(read_study(folder))] == ["Which technique?"]


def test_every_scenario_has_a_note_on_transfers_and_federations(write_folder):
    uniform, dirichlet = note_scenarios(read_study(write_folder()))
    assert (uniform.scenario, uniform.label) == ("uniform", "Uniform")
    assert "gained most" in dirichlet.sentences[0]
    assert "best setting T = 4, w = 0.9" in dirichlet.sentences[0]
    assert dirichlet.sentences[1].startswith("Federated: ")


def test_an_effect_is_told_with_its_interval(write_folder):
    study = read_study(write_folder())
    assert "On the same 4 pairs of models tuned KD gained" in describe_effect(study)
    rows = {row[0]: row for row in tabulate_effects(study).rows}
    assert "finetune" not in rows
    assert " to " in rows["tuned KD"][4]
    assert [row[0] for row in tabulate_headline(study).rows] == ["uniform", "all others"]
    assert describe_effect(read_study(write_folder(num_scenarios=1, seeds=(0,)))) == ""


def test_what_a_budget_left_out_is_told_and_listed(write_folder):
    folder = write_folder()
    about = json.loads((folder / "study.json").read_text())
    assert describe_budget(about) == ""
    budget = {
        "seconds": 7200.0,
        "runs": 60,
        "runs_left_out": 40,
        "estimated_seconds_of_all": 14400.0,
        "shares": SHARES,
    }
    (folder / "study.json").write_text(json.dumps(about | {"budget": budget}))
    study = read_study(folder)
    sentence = (
        "A budget of 2 h 0 min took 60 of 100 runs and left 40 out; all together would take about 4 h 0 min."
    )
    assert describe_budget(study.about) == sentence
    assert tabulate_budget(study).rows == (
        ("transfer, scenario", "Uniform", "3", "1", "75\N{NARROW NO-BREAK SPACE}%"),
        ("transfer, scenario", "Dirichlet, alpha 1.0", "1", "3", "25\N{NARROW NO-BREAK SPACE}%"),
        ("federated, start", "hub", "0", "2", "0\N{NARROW NO-BREAK SPACE}%"),
    )
    page = build(folder).read_text(encoding="utf-8")
    assert page.count(sentence) == 2
    assert 'id="left-out"' in page
