"""Figures: what they show, and that they stand alone in a file."""

import re

import polars as pl
from plotly.offline import get_plotlyjs

from limbeck.report.compute import average_by_seed, grid_surface, technique_table, tuning_worth
from limbeck.report.draw import (
    draw_federated,
    draw_partition,
    draw_surface,
    draw_techniques,
    draw_tuning_worth,
    write_figure_html,
)
from limbeck.report.inputs import read_study
from limbeck.report.palette import ORDERED_MARKS, START_MARKS, TECHNIQUE_MARKS, pick_mark
from limbeck.report.rounds import federated_curves


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_mark_can_be_seen_on_white_and_on_the_dark_page():
    dark = luminance("#1a1e25")
    for mark in (*TECHNIQUE_MARKS.values(), *ORDERED_MARKS):
        assert 1.05 / (luminance(mark.colour) + 0.05) > 2.8
        assert (luminance(mark.colour) + 0.05) / (dark + 0.05) > 2.8


def test_an_unknown_technique_always_gets_the_same_mark():
    assert pick_mark("new", TECHNIQUE_MARKS) == pick_mark("new", TECHNIQUE_MARKS)


def test_a_partition_has_one_bar_trace_per_class():
    figure = draw_partition([[1, 2, 0], [3, 0, 4]], ("a", "b", "c"), "Split", roles={0: "student"})
    assert [trace.name for trace in figure.data] == ["a", "b", "c"]
    assert [list(trace.x) for trace in figure.data] == [[1, 3], [2, 0], [0, 4]]
    assert list(figure.layout.yaxis.ticktext) == ["client 0 · student", "client 1"]


def test_a_figure_file_needs_nothing_from_elsewhere_and_escapes_its_names(tmp_path):
    path = tmp_path / "partition.html"
    write_figure_html(draw_partition([[1]], ("</script><b>",), "<Split>"), path)
    page = path.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?:https?:)?//", page)
    assert "</script><b>" not in page
    assert "<title>&lt;Split&gt;</title>" in page
    assert "<Split>" not in page


def test_the_surface_frames_the_best_and_the_vanilla_setting(write_folder):
    surface = grid_surface(read_study(write_folder(num_scenarios=1)).grid)
    shapes = {shape.name: shape for shape in draw_surface(surface).layout.shapes}
    assert set(shapes) == {"best by validation", "vanilla"}
    assert (shapes["vanilla"].x0 + shapes["vanilla"].x1, shapes["vanilla"].y0 + shapes["vanilla"].y1) == (
        0,
        0,
    )


def test_techniques_are_drawn_in_their_own_colours(write_folder):
    results = read_study(write_folder(num_scenarios=1)).results
    figure = draw_techniques(average_by_seed(results), technique_table(results))
    colours = {trace.name: trace.marker.color for trace in figure.data if trace.name}
    assert colours["tuned KD"] == TECHNIQUE_MARKS["tuned-kd"].colour
    assert len(set(colours.values())) == 6


def test_bars_of_one_seed_have_no_whiskers(write_folder):
    worth = tuning_worth(read_study(write_folder(num_scenarios=1, seeds=(0,))).results)
    assert not any(bar.error_x.visible for bar in draw_tuning_worth(worth, ["Uniform"]).data)


def test_federated_curves_carry_all_axes_and_a_band_only_over_several_seeds(write_folder):
    curves = federated_curves(read_study(write_folder(num_scenarios=1)).federation)
    figure = draw_federated(curves, targets=(0.7,))
    assert len(figure.data) == 2 * 5
    axes = figure.data[1].meta["axes"]
    assert set(axes) == {"rounds", "bytes", "seconds", "bytes_with_start", "seconds_with_start"}
    assert all(len(values) == 5 for values in axes.values())
    single = draw_federated(curves.with_columns(pl.lit(None, dtype=pl.Float64).alias("accuracy_sd")))
    assert len(single.data) == 5


def test_curves_of_several_strategies_can_be_shown_by_strategy_and_by_start(write_folder):
    study = read_study(write_folder(num_scenarios=1, num_strategies=2))
    names = {"fedavg": "FedAvg", "fedprox mu=1.0": "FedProx, mu = 1.0"}
    figure = draw_federated(federated_curves(study.federation), strategies=names)
    assert len(figure.data) == 2 * 2 * 5
    assert [trace.visible for trace in figure.data] == [None] * 10 + [False] * 10
    hub = next(trace for trace in figure.data if trace.name == "hub, FedProx, mu = 1.0")
    assert (hub.meta["strategy"], hub.meta["start"]) == ("fedprox mu=1.0", "hub")
    assert hub.meta["looks"]["start"]["line"] == hub.line.color == START_MARKS["hub"].colour
    assert hub.meta["looks"]["strategy"]["line"] != hub.line.color


def test_a_curve_of_one_round_can_be_seen(write_folder):
    curves = federated_curves(read_study(write_folder(num_scenarios=1)).federation)
    figure = draw_federated(curves.filter(pl.col("round") == 0))
    assert {trace.mode for trace in figure.data if trace.name} == {"lines+markers"}
