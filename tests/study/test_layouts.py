"""How a study's models are run is measured once, kept in its folder and part of every run."""

import json

import pytest
import torch
import yaml
from tests.study.tiny import TINY

from limbeck import data
from limbeck.engine import Layout
from limbeck.study import make_plan, parse_spec
from limbeck.study.layouts import CALIBRATION_FILE, pick_layouts

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def make_spec(layout):
    return parse_spec(yaml.safe_dump({**TINY, "layout": layout}), origin="test")


def test_a_plain_study_measures_nothing(digits, tmp_path):
    assert pick_layouts(make_spec("plain"), digits, folder=tmp_path / "study", device=CPU) == {}
    assert not (tmp_path / "study").exists()


def test_what_was_chosen_is_kept_in_the_folder_and_used_again(digits, tmp_path):
    spec = make_spec("auto")
    first = pick_layouts(spec, digits, folder=tmp_path, device=CPU)
    assert {layout.threads for layout in first.values()} == {1}
    path = tmp_path / CALIBRATION_FILE
    content = json.loads(path.read_text())
    for choice in content.values():
        choice["layout"]["precision"] = "bfloat16"
    path.write_text(json.dumps(content))
    again = pick_layouts(spec, digits, folder=tmp_path, device=CPU)
    assert {layout.precision for layout in again.values()} == {"bfloat16"}


def test_the_layout_is_part_of_every_run(digits):
    spec = make_spec("auto")
    plain = make_plan(spec, digits)
    architectures = {run.config["arch"] for run in plain.runs.values() if run.kind == "pretrain"}
    layout = Layout(precision="bfloat16", memory_format="channels-last", threads=1)
    laid_out = make_plan(spec, digits, dict.fromkeys(architectures, layout))
    assert not set(plain.runs) & set(laid_out.runs)
    for run in laid_out.runs.values():
        training = run.config["local"] if run.kind == "federate" else run.config["training"]
        assert (training["precision"], training["memory_format"]) == ("bfloat16", "channels-last")
        if run.config.get("distil"):
            assert run.config["distil"]["training"]["precision"] == "bfloat16"
