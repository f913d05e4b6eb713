"""A federation in words, tables and pictures, against numbers added up by hand."""

import json
import re

import pytest
import yaml
from plotly.offline import get_plotlyjs
from tests.federate.small_spec import write_spec
from tests.report.federation_folder import LEDGER, OWN_ROUNDS, ROUNDS, START, write_federation

from limbeck.cli.app import _run as run
from limbeck.core.errors import InputError
from limbeck.report import build_federation_page, holds_federation
from limbeck.report.draw_federation import draw_federation
from limbeck.report.federation import (
    describe_federation,
    list_federation_facts,
    read_federation,
    tabulate_federation,
    text_clients,
    tile_federation,
)

THIN = "\N{NARROW NO-BREAK SPACE}"
SPREAD = "<1>"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


def read(folder, **changes):
    return read_federation(write_federation(folder, **changes))


def read_start(folder, **changes):
    """A run that ended with its start."""
    return read(folder, rounds=ROUNDS[:1], ledger=START, **changes)


def read_own(folder, **changes):
    """A run of a strategy without a global model."""
    return read(folder, rounds=OWN_ROUNDS, ledger=LEDGER[:12], strategy="fd", start="scratch", **changes)


def test_the_sentences_say_what_was_reached_and_what_it_took(folder):
    sentences = describe_federation(read(folder, strategy="fedprox", settings={"mu": 0.1}, target=0.73))
    assert [sentence.replace(THIN, " ") for sentence in sentences] == [
        "After 3 rounds of FedProx, mu = 0.1 the global model has 72.0 % test accuracy, +32.0 points against "
        "the 40.0 % of the starting model.",
        "The best on the validation samples is round 2 with 74.0 %; its model, with 70.0 % test accuracy, is "
        "the one that is kept.",
        "The target of 73.0 % on the validation samples was reached in round 2, after 750.0 kB in all and "
        "4.0 s of rounds.",
        "The start, weight average (the mean of the clients' weights), took 1.5 s and, introductions "
        "included, 150.0 kB in 6 messages: as many bytes as 0.5 of its rounds.",
        "On their own held-out samples the clients of round 3 measured 70.0 % on average, with a standard "
        "deviation of 5.0 points between them.",
        "All 23 messages together are 1.0 MB: 453.0 kB to the clients and 547.0 kB from them.",
        "Replies that did not count: 1 rejected and 1 missing, in 2 of 3 rounds.",
    ]


def test_a_target_that_no_round_reached_is_said_with_the_highest(folder):
    sentence = describe_federation(read(folder, target=0.9))[2]
    assert sentence.replace(THIN, " ") == (
        "The target of 90.0 % on the validation samples was not reached in 3 rounds; the highest was 74.0 %."
    )


def test_without_a_target_no_sentence_is_about_one(folder):
    run_of = read(folder)
    assert not any("target" in sentence for sentence in describe_federation(run_of))
    assert tile_federation(run_of)[1].meaning == "run"


def test_rounds_that_made_the_model_worse_leave_the_starting_model(folder):
    worse = [ROUNDS[0], (1, 0.38, 0.41, 0.3, 0.1, 300_000, 2.0, [0, 1, 2], [], [])]
    sentences = describe_federation(read(folder, rounds=worse, ledger=LEDGER[:12]))
    assert "\N{MINUS SIGN}2.0 points against" in sentences[0]
    assert sentences[1].startswith("No round did better on the validation samples than the starting model")
    assert sentences[-1] == "Every reply came and counted."


def test_a_run_that_its_start_ended_says_so(folder):
    run_of = read_start(folder, target=0.4)
    sentences = [sentence.replace(THIN, " ") for sentence in describe_federation(run_of)]
    assert sentences[0].startswith("No round was run: the starting model has 40.0 % test accuracy")
    assert "was reached by the starting model, before the first round." in sentences[1]
    assert sentences[2].endswith("took 1.5 s and, introductions included, 150.0 kB in 6 messages.")
    assert len(sentences) == 4
    assert (tile_federation(run_of)[1].value, tile_federation(run_of)[1].unit) == ("0", "rounds")


def test_a_strategy_without_a_global_model_is_told_by_its_clients_own(folder):
    run_of = read_own(folder, target=0.5)
    sentences = [sentence.replace(THIN, " ") for sentence in describe_federation(run_of)]
    assert sentences[0] == (
        "After 1 round of FD the clients' own models have 55.0 % mean accuracy on their held-out samples; "
        "there is no global model."
    )
    assert sentences[1].startswith("The target of 50.0 % on clients' held-out samples was reached in round 1")
    assert tabulate_federation(run_of).columns[:3] == ("Round", "Clients' own", "Counted")
    assert tile_federation(run_of)[0].value == "55.0"
    assert [trace.name for trace in draw_federation(run_of)["curves"].data if trace.name] == ["clients' own"]


def test_a_client_measure_that_nobody_made_is_not_invented(folder):
    silent = [(*row[:3], None, None, *row[5:]) for row in OWN_ROUNDS]
    sites = {"split": None, "num_sites": 3, "held_out": 0.0}
    run_of = read(folder, rounds=silent, ledger=LEDGER[:12], strategy="fd", start="scratch", **sites)
    assert "nobody has measured the clients' own models" in describe_federation(run_of)[0]
    assert [tile.unit for tile in tile_federation(run_of)] == ["round", "kB", "s"]
    assert not draw_federation(run_of)["curves"].data


def test_the_tiles_are_accuracy_rounds_bytes_and_seconds(folder):
    tiles = tile_federation(read(folder, target=0.73))
    assert [(tile.value, tile.unit) for tile in tiles] == [
        ("70.0", "%"),
        ("2", "rounds"),
        ("1.0", "MB"),
        ("6.5", "s"),
    ]
    assert tiles[2].meaning == "sent in all, 150.0 kB of it for the start"
    assert tiles[3].meaning == "in the rounds, after 1.5 s for the start; without measuring"


def test_the_table_has_every_round_with_its_bytes_each_way_and_who_did_not_count(folder):
    table = tabulate_federation(read(folder))
    rows = [[text.replace(THIN, " ") for text in row] for row in table.rows]
    none = "\N{EN DASH}"
    assert rows == [
        ["start", "40.0 %", "42.0 %", none, none, none, none, "3.0 kB", "147.0 kB", "0.0 s"],
        ["1", "60.0 %", "62.0 %", "55.0 % ± 10.0", "0 to 2", none, none, "150.0 kB", "150.0 kB", "2.0 s"],
        ["2", "70.0 %", "74.0 %", "65.0 % ± 8.0", "0, 2", "1", none, "150.0 kB", "150.0 kB", "4.0 s"],
        ["3", "72.0 %", "73.0 %", "70.0 % ± 5.0", "0, 1", none, "2", "150.0 kB", "100.0 kB", "6.5 s"],
    ]
    assert all(len(row) == len(table.columns) for row in rows)
    assert table.strong == {(2, 2)}


def test_the_bytes_with_the_start_end_with_the_sum_of_the_ledger(folder):
    rounds = read(folder).rounds
    assert rounds["bytes_with_start"].to_list() == [150_000, 450_000, 750_000, 1_000_000]
    assert sum(size for *_, size in LEDGER) == 1_000_000
    assert rounds["down"].sum() + rounds["up"].sum() == 1_000_000


@pytest.mark.parametrize(
    ("clients", "text"),
    [
        ([], "\N{EN DASH}"),
        ([4], "4"),
        ([1, 0], "0, 1"),
        ([0, 1, 2, 3, 7, 9, 10], "0 to 3, 7, 9, 10"),
        ([0, 2, 4, 6, 8], "5 clients"),
        (list(range(1000)), "0 to 999"),
    ],
)
def test_clients_are_named_by_ranges_or_counted(clients, text):
    assert text_clients(clients) == text


def test_the_curves_carry_every_axis_and_a_ring_at_the_kept_round(folder):
    figure = draw_federation(read(folder, target=0.9))["curves"]
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces["test"].y) == pytest.approx([40, 60, 70, 72])
    assert list(traces["validation"].y) == pytest.approx([42, 62, 74, 73])
    assert traces["test"].meta["axes"] == {
        "rounds": [0, 1, 2, 3],
        "bytes": [0, 0.3, 0.6, 0.85],
        "seconds": [0, 2, 4, 6.5],
        "bytes_with_start": pytest.approx([0.15, 0.45, 0.75, 1.0]),
    }
    assert (list(traces["kept"].x), list(traces["kept"].y)) == ([2], pytest.approx([70]))
    assert list(traces["clients' own"].x) == [1, 2, 3]
    band = next(trace for trace in figure.data if trace.fill)
    assert list(band.y) == pytest.approx([65, 73, 75, 65, 57, 45])
    assert list(band.x) == [1, 2, 3, 3, 2, 1]
    assert figure.layout.shapes[0].y0 == 90
    low, high = figure.layout.yaxis.range
    assert low < 40
    assert high > 90


def test_one_client_has_a_curve_and_no_band(folder):
    alone = [(*row[:4], None, *row[5:]) for row in ROUNDS]
    assert not any(trace.fill for trace in draw_federation(read(folder, rounds=alone))["curves"].data)


def test_the_bytes_are_stacked_by_direction_with_the_start_at_0(folder):
    down, up = draw_federation(read(folder))["bytes"].data
    assert list(down.x) == [0, 1, 2, 3]
    assert list(down.y) == pytest.approx([0.003, 0.15, 0.15, 0.15])
    assert list(up.y) == pytest.approx([0.147, 0.15, 0.15, 0.10])
    assert down.customdata[0] == "start<br>to the clients: 3.0 kB"


def test_the_facts_are_those_of_the_spec(folder):
    facts = dict(list_federation_facts(read(folder)))
    assert facts["Clients"] == "3 clients, dirichlet (alpha=0.5, balance=True), seed 0"
    assert facts["Rounds"] == "3 of 3"
    assert facts["Strategy"].startswith("FedAvg: ")
    assert "Distillation" not in facts
    assert "Privacy" not in facts


def test_the_facts_name_distillation_privacy_and_sites_where_there_are_any(folder):
    changes = {"split": None, "num_sites": 3, "start": "mesh", "strategy": "fedavg"}
    facts = dict(list_federation_facts(read(folder, **changes)))
    assert facts["Clients"] == "3 sites with data of their own"
    assert facts["Distillation"] == "kd, temperature 2, weight 0.3"
    private = read(folder, start="scratch", privacy={"clip_norm": 1.0, "noise_multiplier": 2.0})
    assert dict(list_federation_facts(private))["Privacy"].startswith("clip norm 1, noise multiplier 2")


def test_the_page_has_its_parts_and_asks_for_nothing_from_elsewhere(folder):
    path = build_federation_page(write_federation(folder, description=f"About {SPREAD} clinics.", target=0.9))
    page = path.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    sections = re.findall(r"<section id=\"(\w+)\"", page)
    assert sections == ["findings", "curves", "bytes", "rounds", "run", "reading"]
    assert re.findall(r"<a href=\"#(\w+)\"", page) == sections
    assert "<title>small · limbeck report</title>" in page
    assert "digits · 3 clients · weight average, then FedAvg · 3 of 3 rounds · seed 0" in page
    assert "About &lt;1&gt; clinics." in page
    assert SPREAD not in page
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"'](?:https?:)?//", page)
    spec = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)
    assert spec is not None
    assert yaml.safe_load(spec.group(1).replace("&lt;", "<").replace("&gt;", ">"))["rounds"] == 3


@pytest.mark.parametrize("name", ["spec.yaml", "rounds.parquet", "ledger.parquet"])
def test_a_missing_or_damaged_file_is_named(folder, name):
    write_federation(folder)
    (folder / name).write_bytes(b"\x00 not this")
    with pytest.raises(InputError, match=name):
        build_federation_page(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=name):
        build_federation_page(folder)


def test_a_table_without_rows_or_with_other_columns_is_refused(folder):
    with pytest.raises(InputError, match="no rows"):
        read(folder, rounds=[])
    write_federation(folder)
    (folder / "ledger.parquet").write_bytes((folder / "rounds.parquet").read_bytes())
    with pytest.raises(InputError, match="`limbeck federate` again"):
        read_federation(folder)


def test_a_folder_is_a_federation_s_from_its_first_checkpoint_on(tmp_path, write_folder):
    assert not holds_federation(tmp_path / "nowhere")
    assert not holds_federation(write_folder())
    (tmp_path / "checkpoint.safetensors").touch()
    assert holds_federation(tmp_path)


def test_report_builds_the_page_of_a_federation_or_says_what_is_missing(folder, capsys):
    write_federation(folder)
    assert run(["report", str(folder), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == {"report": str(folder / "report.html")}
    assert f"Report: {folder / 'report.html'}" in output.err
    (folder / "rounds.parquet").unlink()
    assert run(["report", str(folder)]) == 2
    assert "rounds.parquet" in capsys.readouterr().err


@pytest.mark.slow
def test_federate_leaves_the_page_and_names_it(folder, tmp_path, capsys):
    spec = write_spec(tmp_path / "spec.yaml", rounds=1, start="scratch", pretrain=None)
    assert run(["federate", str(spec), "--out", str(folder), "--json"]) == 0
    output = capsys.readouterr()
    content = json.loads(output.out)
    assert content["report"] == str(folder / "report.html")
    assert f"Report: {folder / 'report.html'}" in output.err
    table = tabulate_federation(read_federation(folder))
    assert [row[0] for row in table.rows] == ["start", "1"]
    assert table.rows[-1][1] == f"{100 * content['accuracy']:.1f}{THIN}%"
    assert read_federation(folder).last["bytes_with_start"] == content["total_bytes"]
