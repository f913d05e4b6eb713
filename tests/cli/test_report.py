"""`limbeck report` on one folder, on two, and with files."""

import json
from pathlib import Path

import pytest
from tests.report.conftest import write_study_folder
from tests.report.federation_folder import write_federation

from limbeck.cli.app import _run as run
from limbeck.report.browser import find_browser


def test_one_folder_gets_its_page(tmp_path, capsys):
    folder = write_study_folder(tmp_path / "study", num_scenarios=1)
    assert run(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(folder / "report.html")}


def test_two_studies_get_a_page_where_out_says(tmp_path, capsys):
    folders = [str(write_study_folder(tmp_path / name, num_scenarios=1)) for name in ("a", "b")]
    assert run(["report", *folders, "--out", str(tmp_path / "both"), "--json"]) == 0
    page = Path(json.loads(capsys.readouterr().out)["report"])
    assert page == tmp_path / "both" / "report.html"
    assert "a and b" in page.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="needs a Chromium on the search path")
def test_files_are_written_and_listed(tmp_path, capsys):
    folder = write_study_folder(tmp_path / "study", num_scenarios=1, num_rounds=0)
    assert run(["report", str(folder), "--export", str(tmp_path / "files"), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {Path(file).suffix for file in files} == {".csv", ".tex", ".svg", ".png"}
    assert all(Path(file).is_file() for file in files)


def test_mistakes_are_told_in_one_sentence_each(tmp_path, capsys):
    study = write_study_folder(tmp_path / "study", num_scenarios=1)
    other = write_study_folder(tmp_path / "other", num_scenarios=1, seeds=(8, 9))
    federation = write_federation(tmp_path / "federation")
    for arguments, words in (
        ([study, study, study], "One or two folders must be given, but got 3"),
        ([study, "--out", tmp_path / "x"], "`--out` must go with two studies"),
        ([study, federation], "must both hold a study"),
        ([study, other], "must share a transfer or a federation"),
        ([study, tmp_path / "none"], "`study.json` must lie in the study's folder"),
    ):
        assert run(["report", *map(str, arguments)]) == 2
        assert words in capsys.readouterr().err
