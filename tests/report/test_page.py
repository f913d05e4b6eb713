"""The page and its summary, built from a small folder in the real format."""

import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import yaml
from plotly.offline import get_plotlyjs

from limbeck.core.errors import InputError
from limbeck.report import build, summary_markdown
from limbeck.report.answers import write_headline
from limbeck.report.headline import describe_baseline, describe_gains, describe_starts
from limbeck.report.inputs import Study, read_study

SECTIONS = (
    "findings",
    "techniques",
    "tuning",
    "surface",
    "forgetting",
    "federated",
    "targets",
    "costs",
    "methods",
    "reading",
    "runs",
)


def read_page(folder: Path) -> str:
    return build(folder).read_text(encoding="utf-8")


def without_plotly(page: str) -> str:
    return page.replace(get_plotlyjs(), "")


def sections_of(page: str) -> list[str]:
    return re.findall(r'<section id="([a-z]+)"', page)


def test_the_page_has_every_section_and_every_run_id(write_folder):
    folder = write_folder()
    page = read_page(folder)
    assert sections_of(page) == list(SECTIONS)
    for name in ("results", "grid", "federation"):
        frame = pl.read_parquet(folder / f"{name}.parquet")
        assert all(run_id in page for run_id in frame["run_id"].unique())
    results = pl.read_parquet(folder / "results.parquet")
    assert all(run_id in page for run_id in results["teacher_run_id"].unique())


def test_the_page_loads_nothing_and_holds_plotly_once(write_folder):
    page = read_page(write_folder())
    assert page.count(get_plotlyjs()) == 1
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"'](?:https?:)?//", without_plotly(page))
    assert not re.search(r"@import|url\(", without_plotly(page))


def test_headings_are_in_order_and_every_table_has_a_caption_and_scopes(write_folder):
    page = without_plotly(read_page(write_folder()))
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.count("<table>") == page.count("<caption>")
    assert not re.search(r"<th(?![^>]*scope=)[ >]", page)


def test_text_of_the_study_is_escaped(write_folder):
    folder = write_folder(name="<img src=x onerror=alert(1)>", class_names=("</script><i>", "b", "c"))
    page = read_page(folder)
    assert "<img src=x" not in page
    assert "</script><i>" not in page


def test_a_study_without_federated_part_and_grid_leaves_those_sections_out(write_folder):
    folder = write_folder(num_rounds=0, temperatures=(), seeds=(0,))
    page = read_page(folder)
    assert sections_of(page) == [name for name in SECTIONS if name not in ("surface", "federated", "targets")]
    assert "one seed" in page
    assert " ± " not in summary_markdown(folder)


def test_a_study_of_federated_runs_alone_has_only_those_sections(write_folder):
    folder = write_folder(temperatures=())
    path = folder / "results.parquet"
    pl.read_parquet(path).clear().write_parquet(path)
    assert sections_of(read_page(folder)) == [
        "findings",
        "federated",
        "targets",
        "costs",
        "methods",
        "reading",
        "runs",
    ]
    assert "Gain in test accuracy" not in summary_markdown(folder)


def test_several_strategies_get_a_choice_a_table_and_a_sentence_each(write_folder):
    folder = write_folder(num_strategies=2)
    page = without_plotly(read_page(folder))
    assert '<option value="fedprox mu=1.0" data-kind="strategy">FedProx, mu = 1.0, every start' in page
    assert '<option value="hub" data-kind="start">hub, every strategy' in page
    assert "FedProx, mu = 1.0: held near it." in page
    assert "Uniform · FedProx, mu = 1.0" in page
    text = summary_markdown(folder)
    assert "With FedProx, mu = 1.0, federated learning took" in text
    assert "| FedProx, mu = 1.0 | hub |" in text


def test_a_single_strategy_is_not_mentioned(write_folder):
    folder = write_folder()
    page = without_plotly(read_page(folder))
    assert 'id="view"' not in page
    assert "FedAvg" not in page
    assert "FedAvg" not in summary_markdown(folder)


def test_a_folder_from_before_strategies_could_be_chosen_is_one_of_federated_averaging(write_folder):
    folder = write_folder()
    page = read_page(folder)
    path = folder / "federation.parquet"
    older = pl.read_parquet(path).drop("federated_strategy", "settings")
    older.with_columns(pl.lit(58.0).alias("pretrain_seconds")).write_parquet(path)
    about = json.loads((folder / "study.json").read_text())
    del about["strategies"]
    (folder / "study.json").write_text(json.dumps(about))
    assert read_page(folder) == page


def test_runs_that_stop_at_their_target_are_explained(write_folder):
    folder = write_folder()
    assert "Runs stopped at the highest target" not in read_page(folder)
    about = json.loads((folder / "study.json").read_text())
    about["spec"]["federated"] = {"stop_at_target": True}
    (folder / "study.json").write_text(json.dumps(about))
    assert "Runs stopped at the highest target" in read_page(folder)


def test_failed_runs_are_announced(write_folder):
    folder = write_folder(num_scenarios=1)
    about = json.loads((folder / "study.json").read_text())
    about["runs"] |= {"done": 797, "failed": 3}
    (folder / "study.json").write_text(json.dumps(about))
    assert "3 of 800 runs failed" in read_page(folder)


@pytest.mark.parametrize("name", ["study.json", "results.parquet", "grid.parquet", "federation.parquet"])
def test_a_missing_file_is_named_with_the_remedy(write_folder, name):
    folder = write_folder(num_scenarios=1)
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{re.escape(name)}.*Run `limbeck study` again"):
        build(folder)


@pytest.mark.parametrize("name", ["study.json", "results.parquet", "grid.parquet", "federation.parquet"])
def test_a_damaged_file_is_named_with_the_remedy(write_folder, name):
    folder = write_folder(num_scenarios=1)
    (folder / name).write_bytes(b"not what it was")
    with pytest.raises(InputError, match=rf"{re.escape(name)}.*damaged.*Run `limbeck study` again"):
        summary_markdown(folder)


def test_a_table_without_a_column_is_damaged(write_folder):
    folder = write_folder(num_scenarios=1)
    path = folder / "results.parquet"
    pl.read_parquet(path).drop("gain", "seed").write_parquet(path)
    with pytest.raises(InputError, match="no column seed and gain"):
        build(folder)


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"data": 3}, "data.name"),
        ({"runs": {"total": 1}}, "runs.done, runs.skipped and runs.failed"),
        ({"scenarios": [{"scenario": "uniform"}]}, "scenarios[0].label"),
    ],
)
def test_a_study_file_without_a_key_is_damaged(write_folder, change, absent):
    folder = write_folder(num_scenarios=1)
    about = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(about | change))
    with pytest.raises(InputError, match=f"no {re.escape(absent)}"):
        build(folder)


@pytest.mark.parametrize("text", ["[]", "{}", "3"])
def test_a_study_file_of_another_kind_is_damaged(write_folder, text):
    folder = write_folder(num_scenarios=1)
    (folder / "study.json").write_text(text)
    with pytest.raises(InputError, match="no name, spec"):
        build(folder)


def set_gains(study: Study, gains: dict[str, float]) -> Study:
    gain = pl.col("technique").replace_strict(gains, return_dtype=pl.Float64)
    results = study.results.with_columns(
        gain.alias("gain"), (pl.col("validation_before") + gain).alias("validation_after")
    )
    return Study(about=study.about, results=results, grid=study.grid, federation=study.federation)


def test_the_headline_says_so_when_distillation_does_not_beat_finetuning(write_folder):
    gains = {
        "finetune": 0.05,
        "tuned-kd": 0.03,
        "kd": 0.02,
        "dml": 0.01,
        "dp-kd": 0.01,
        "dp-kd-unsupervised": 0,
    }
    study = set_gains(read_study(write_folder()), gains)
    assert describe_gains(study) == (
        "Tuned KD changed the student's test accuracy by +3.0 points on average over 2 scenarios (2 seeds); "
        "finetuning alone, with the same budget and no teacher, by +5.0. "
        "Tuned KD gained more than finetuning in 0 of 2."
    )
    assert describe_baseline(study).startswith("Distillation did not beat finetuning in 2 of 2 scenarios")
    assert "The highest mean gain was +5.0 points, by finetune." in write_headline(study)


def test_the_headline_says_so_when_a_naive_start_does_as_well(write_folder):
    study = read_study(write_folder(num_scenarios=1, seeds=(0,), num_rounds=10))
    curve = pl.when(pl.col("start") == "scratch").then(0.4).otherwise(0.6) + 0.04 * pl.col("round")
    federation = study.federation.with_columns(curve.alias("accuracy"))
    about = dict(study.about) | {"targets": [0.7]}
    tied = Study(about=about, results=study.results, grid=study.grid, federation=federation)
    hub, chain = describe_starts(tied)
    # 0.4 + 0.04 r reaches 0.7 at r = 8, 0.6 + 0.04 r at r = 3: 5 of 8 rounds saved, none against naive.
    assert "62\N{NARROW NO-BREAK SPACE}% fewer rounds to its targets than from scratch" in hub
    assert (
        "0\N{NARROW NO-BREAK SPACE}% fewer rounds to its targets than from the best naive warm start" in hub
    )
    assert "In most pairs a naive warm start does as well or better" in hub
    assert chain.startswith("Starting from chain")


def test_the_summary_is_markdown_with_the_tables_of_the_page(write_folder):
    text = summary_markdown(write_folder())
    assert text.startswith("* Tuned KD changed")
    assert "| Scenario | Student before | Teacher | Finetune | KD | Tuned KD |" in text
    assert "Until the global model reaches 80" in text
    widths = [line.count(" | ") for line in text.splitlines() if line.startswith("| Uniform | scratch")]
    assert widths == [10, 10, 10]


def test_the_page_holds_the_spec_as_yaml_that_reads_back(write_folder):
    folder = write_folder(num_scenarios=1)
    shown = re.search(r"<pre[^>]*>(.*?)</pre>", without_plotly(read_page(folder)), re.DOTALL)
    assert shown is not None
    about = json.loads((folder / "study.json").read_text())
    assert yaml.safe_load(unescape(shown[1])) == about["spec"]


def test_methods_name_seeds_hashes_and_versions(write_folder):
    page = without_plotly(read_page(write_folder(seeds=(3, 5))))
    methods = page[page.index('<section id="methods"') :]
    for text in (
        "3, 5",
        "c0ffee0123456789",
        "5f3a9c0d7e1b2a44",
        "torch 2.9.1",
        "limbeck study invented.yaml",
    ):
        assert text in methods
