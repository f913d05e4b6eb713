"""`limbeck study` in a process of its own, from an empty folder to a page."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.study.tiny import TINY

pytestmark = pytest.mark.slow

LIMBECK = Path(sys.executable).with_name("limbeck")


def call(*arguments, folder):
    return subprocess.run(
        [str(LIMBECK), *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_study_prints_one_object_and_a_second_call_skips_all(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    first = call("study", "tiny.yaml", "--out", "out", "--workers", "2", "--json", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    content = json.loads(first.stdout)
    assert {"report", "results", "store", "runs_total", "runs_done", "runs_skipped"} <= set(content)
    assert (content["runs_total"], content["runs_done"], content["runs_skipped"]) == (71, 71, 0)
    page = (tmp_path / content["report"]).read_text(encoding="utf-8")
    assert "tiny" in page
    for name in ("results", "store"):
        assert (tmp_path / content[name]).exists()

    second = call("study", "tiny.yaml", "--out", "out", "--json", folder=tmp_path)
    again = json.loads(second.stdout)
    assert (again["runs_done"], again["runs_skipped"]) == (0, 71)

    changed = tmp_path / "other.yaml"
    changed.write_text(yaml.safe_dump({**TINY, "seeds": [7]}))
    refused = call("study", "other.yaml", "--out", "out", folder=tmp_path)
    assert refused.returncode == 2
    assert "a store belongs to one spec" in refused.stderr
    assert "Traceback" not in refused.stderr

    rebuilt = call("report", "out", "--json", folder=tmp_path)
    assert json.loads(rebuilt.stdout) == {"report": "out/report.html"}
