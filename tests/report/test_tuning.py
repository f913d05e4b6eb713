"""A search of settings in words, tables and pictures, against numbers counted by hand."""

import re
from itertools import product
from pathlib import Path

import pytest
import torch
from plotly.offline import get_plotlyjs
from tests.report.pair_records import make_attempt, make_record

from limbeck.pairs import Outcome
from limbeck.report.draw_tuning import draw_response, draw_setting, draw_tuning
from limbeck.report.tuning import (
    describe_best,
    describe_tuning,
    describe_worth,
    list_tuning_facts,
    rank_trials,
    tabulate_leaders,
    tabulate_settings,
    tabulate_trials,
    tabulate_tuned,
    tile_tuning,
)
from limbeck.report.tuning_page import build_tuning_page
from limbeck.tune import Tried, Tuned, Worth

THIN = "\N{NARROW NO-BREAK SPACE}"
DEFAULTS = {"temperature": 4.0, "weight": 0.5, "beta": 8.0}


def make_tried(validation=0.6, *, settings=None, **changes):
    values = {
        "settings": DEFAULTS if settings is None else settings,
        "validation": validation,
        "epochs": 3,
        "accuracy_after": 0.66,
        "gain": 0.06,
        "forgetting": 0.01,
        "positive_flips": 8,
        "negative_flips": 2,
        "kept_epoch": 3,
        "seconds": 5.0,
    }
    return Tried(**{**values, **changes})


def make_trials(temperatures=(1.0, 4.0), weights=(0.1, 0.5), betas=(2.0, 8.0)):
    """Validation accuracies 0.60, 0.61, ... in the order of the points: the last is the best."""
    points = product(temperatures, weights, betas)
    names = ("temperature", "weight", "beta")
    return tuple(
        make_tried(0.6 + number / 100, settings=dict(zip(names, point, strict=True)))
        for number, point in enumerate(points)
    )


def make_tuned(**changes) -> Tuned:
    """Eight trials of DKD, whose best has temperature 4, weight 0.1 and beta 2: 72 % against 65 %."""
    trials = (*make_trials()[:-1], make_tried(0.72, settings={**DEFAULTS, "weight": 0.1, "beta": 2.0}))
    attempt = make_attempt(settings=trials[-1].settings)
    record = changes.pop("record", None) or make_record(attempt=attempt)
    values = {
        "outcome": Outcome(student=torch.nn.Identity(), record=record),
        "trials": trials,
        "default": make_tried(0.65),
        "importance": {"weight": 0.7, "beta": 0.2, "temperature": 0.1},
        "worth": Worth(mean=0.04, low=0.01, high=0.07),
        "driver": "grid",
    }
    return Tuned(**{**values, **changes})


def make_untuned() -> Tuned:
    """The search chose the defaults."""
    record = make_record(attempt=make_attempt(settings=DEFAULTS))
    return make_tuned(record=record, worth=Worth(mean=0.0, low=0.0, high=0.0))


def test_the_best_settings_stand_beside_the_defaults():
    assert describe_best(make_tuned()) == (
        f"Of 8 trials, temperature 4, weight 0.1, beta 2 did best: 72.0{THIN}% on 100 validation samples, "
        f"where the defaults (temperature 4, weight 0.5, beta 8) have 65.0{THIN}%."
    )
    assert "which are the defaults: 72.0" in describe_best(make_untuned())


@pytest.mark.parametrize(
    ("worth", "sentence"),
    [
        ((0.04, 0.01, 0.07), "was worth +4.0 points against the defaults (95 % interval +1.0 to +7.0)."),
        ((0.01, -0.01, 0.03), "(95 % interval −1.0 to +3.0); the interval holds 0, so on 100 samples chance"),
        ((0.0, 0.0, 0.0), "(95 % interval 0.0 to 0.0); the interval holds 0"),
        (
            (-0.02, -0.03, -0.01),
            "was worth −2.0 points against the defaults (95 % interval −3.0 to −1.0): on",
        ),
    ],
)
def test_the_worth_of_tuning_is_said_with_its_interval(worth, sentence):
    mean, low, high = worth
    assert sentence in describe_worth(make_tuned(worth=Worth(mean=mean, low=low, high=high)))


def test_a_search_that_chose_the_defaults_is_worth_nothing():
    assert describe_worth(make_untuned()).startswith("Tuning was worth nothing")


def test_numbers_from_the_samples_that_chose_the_settings_are_called_flattered():
    record = make_record(attempt=make_attempt(settings=DEFAULTS), measured_on="validation")
    assert any("flattered" in sentence for sentence in describe_tuning(make_tuned(record=record)))
    assert not any("flattered" in sentence for sentence in describe_tuning(make_tuned()))


def test_finetune_stands_beside_the_findings():
    assert any(sentence.startswith("DKD beat finetune by 8.0") for sentence in describe_tuning(make_tuned()))
    values = [tile.value for tile in tile_tuning(make_tuned())]
    assert values == ["+4.0", "+10.0", "+2.0", "70.0"]


def test_the_tuned_the_default_and_the_finetuned_student_are_side_by_side():
    before = f"60.0{THIN}%"
    assert tabulate_tuned(make_tuned()).rows == (
        ("tuned DKD", before, f"70.0{THIN}%", "+10.0", "2.0", "12", "2", "2", "12.3 s"),
        ("default DKD", before, f"66.0{THIN}%", "+6.0", "1.0", "8", "2", "3", "5.0 s"),
        ("finetune", before, f"62.0{THIN}%", "+2.0", "1.0", "3", "1", "1", "3.2 s"),
    )


def make_stopped(validation, **changes):
    """A trial that successive halving stopped after an epoch."""
    unmeasured = ("accuracy_after", "gain", "forgetting", "positive_flips", "negative_flips")
    return make_tried(validation, epochs=1, **dict.fromkeys(unmeasured), **changes)


def test_trials_stopped_early_come_after_those_that_were_measured_and_have_no_outcome():
    trials = (make_stopped(0.9), make_tried(0.6), make_stopped(0.95))
    assert [number for number, _ in rank_trials(trials)] == [2, 3, 1]
    table = tabulate_trials(make_tuned(trials=trials))
    assert table.rows[1][4:] == ("1", f"95.0{THIN}%", *["–"] * 5, "3", "5.0 s")
    facts = dict(list_tuning_facts(make_tuned(trials=trials, driver="halving")))
    assert "3 trials, 2 of them stopped early," in facts["Search"]


def test_the_surface_says_after_how_many_epochs_a_trial_was_stopped():
    points = [{"temperature": t, "weight": w, "beta": 8.0} for t, w in product((1.0, 4.0), (0.1, 0.5))]
    trials = (*(make_stopped(0.5, settings=point) for point in points[:3]), make_tried(settings=points[3]))
    cells = draw_response(make_tuned(trials=trials)).data[0]
    assert cells.text[0][0] == "50.0<br>1 epoch"
    assert cells.text[1][1] == "60.0"
    assert "stopped after 1 epoch" in cells.customdata[0][0]


def test_settings_are_listed_with_what_was_tried_and_how_much_they_matter():
    assert tabulate_settings(make_tuned()).rows == (
        ("temperature", "1, 4", "4", "4", f"10.0{THIN}%"),
        ("weight", "0.1, 0.5", "0.1", "0.5", f"70.0{THIN}%"),
        ("beta", "2, 8", "2", "8", f"20.0{THIN}%"),
    )
    unknown = tabulate_settings(make_tuned(importance={}))
    assert {row[-1] for row in unknown.rows} == {"–"}


def test_trials_are_listed_from_the_best_and_equals_in_their_order():
    trials = (make_tried(0.6), make_tried(0.7), make_tried(0.7), make_tried(0.5))
    assert [number for number, _ in rank_trials(trials)] == [2, 3, 1, 4]
    table = tabulate_trials(make_tuned(trials=trials))
    assert [row[0] for row in table.rows] == ["2", "3", "1", "4"]
    assert table.rows[0][1:6] == ("4", "0.5", "8", "3", f"70.0{THIN}%")
    assert table.columns[4:6] == ("Epochs", "Validation")
    assert table.strong == {(0, 5)}
    assert [row[0] for row in tabulate_leaders(trials, limit=2).rows] == ["2", "3"]


def test_the_facts_say_how_it_was_searched():
    facts = dict(list_tuning_facts(make_tuned()))
    assert facts["Search"] == "every point of the grid; 8 trials in 40.0 s"
    assert facts["Settings"] == "temperature 4, weight 0.1, beta 2"


def test_the_surface_shows_the_best_of_each_cell_against_the_defaults():
    figure = draw_response(make_tuned())
    cells = figure.data[0]
    # Rows from T = 1, columns from w = 0.1; the best of the two values of beta in each cell.
    assert [list(row) for row in cells.text] == [["61.0", "63.0"], ["72.0", "66.0"]]
    assert [[round(value) for value in row] for row in cells.z] == [[-4, -2], [7, 1]]
    frames = {shape.name: (shape.x0 + shape.x1, shape.y0 + shape.y1) for shape in figure.layout.shapes}
    assert frames == {"defaults": (2, 2), "best": (0, 2)}


def test_defaults_that_were_not_tried_have_no_frame():
    elsewhere = make_tried(0.65, settings={**DEFAULTS, "temperature": 3.0})
    shapes = draw_response(make_tuned(default=elsewhere)).layout.shapes
    assert [shape.name for shape in shapes] == ["best"]


def test_a_point_of_the_surface_that_was_not_tried_stays_empty():
    tuned = make_tuned(trials=make_tuned().trials[2:])  # without T = 1, w = 0.1
    cells = draw_response(tuned).data[0]
    assert (cells.z[0][0], cells.text[0][0]) == (None, "")


def test_one_setting_is_drawn_with_the_best_of_each_value_and_the_defaults():
    figure = draw_setting(make_tuned(), "weight")
    line, others, best = figure.data
    assert [round(value) for value in line.y] == [72, 66]
    assert len(others.x) == 7
    assert (best.x, best.y) == ((0,), (72,))
    assert figure.layout.shapes[0].y0 == pytest.approx(65)
    assert figure.layout.xaxis.title.text == "weight (default 0.5)"


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        (make_trials(), {"surface", "beta", "importance"}),
        (make_trials(betas=(8.0,)), {"surface", "importance"}),
        (make_trials(temperatures=(4.0,)), {"weight", "beta", "importance"}),
        (make_trials()[:1], set()),
    ],
)
def test_only_settings_with_several_values_have_a_picture(trials, expected):
    assert set(draw_tuning(make_tuned(trials=trials))) == expected


def test_importance_is_drawn_from_the_largest_for_what_was_searched():
    figure = draw_tuning(make_tuned(trials=make_trials(betas=(8.0,))))["importance"]
    assert list(figure.data[0].x) == [70, 10]
    assert list(figure.layout.yaxis.ticktext) == ["weight", "temperature"]


def test_the_page_has_the_search_and_the_parts_of_a_transfer(tmp_path):
    path = build_tuning_page(make_tuned(), tmp_path / "report.html", weights=Path("out/model.safetensors"))
    page = path.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert re.findall(r"<section id=\"(\w+)\"", page) == [
        *("findings", "settings", "trials", "attempts", "epochs", "classes", "run", "reading")
    ]
    assert re.findall(r"<a href=\"#(\w+)\"", page) == re.findall(r"<section id=\"(\w+)\"", page)
    assert "<title>Tuned DKD on pets · limbeck report</title>" in page
    assert "safetensors.torch.load_file(&#34;out/model.safetensors&#34;)" in page
    assert "the best over beta in each cell" in page
    assert "&lt;5&gt; samples" in page
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"'](?:https?:)?//", page)


def test_a_page_of_one_trial_says_that_nothing_can_be_compared(tmp_path):
    tuned = make_tuned(trials=make_trials()[:1], importance={})
    page = build_tuning_page(tuned, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Every trial had the same settings" in page
