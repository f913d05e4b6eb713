"""Walk through `compare` and `transfer` with two published checkpoints, and publish what was shown.

``python -m benchmarks.published_models MODELS DATA docs/results/published-models`` runs every command of the
page in an empty folder: MODELS holds the checkpoints, DATA is CIFAR-10 as JPEG. It writes `index.md`, the
record of every transfer and the pictures of two pages as a browser draws them. It needs a Chromium.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import sync_playwright

from benchmarks.publish import CHROMIUM, DRAW_MILLISECONDS, WIDTH
from limbeck.core.files import write_text
from limbeck.study.machine import describe_hardware, describe_versions, find_commit

STUDENT, TEACHER = "resnet20-12fca82f.th", "resnet32-d509ac18.th"
MODEL_OPTIONS = ["--arch", "resnet20", "--arch", "resnet32", "--normalize", "imagenet"]
TRANSFERS = {
    "kd": ["--technique", "kd", "--temperature", "4", "--weight", "0.7"],
    "dkd": ["--technique", "dkd", "--weight", "0.3", "--set", "beta=2"],
    "dp-kd": ["--technique", "dp-kd"],
}
COLUMNS = 100


def main() -> None:
    """Run the walk-through and publish it."""
    models, data, target = (Path(word).resolve() for word in sys.argv[1:4])
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        (here / "models").symlink_to(models)
        (here / "cifar10-jpeg").symlink_to(data)
        shown, outcomes = _walk(here)
        target.mkdir(parents=True, exist_ok=True)
        _draw(here / "limbeck-compare" / "report.html", target / "compare.png")
        _draw(here / "dp-kd" / "report.html", target / "transfer.png")
        for transfer in TRANSFERS:
            shutil.copyfile(here / transfer / "record.json", target / f"{transfer}.json")
    write_text(target / "index.md", _describe(shown, outcomes))


def _walk(here: Path) -> tuple[list[tuple[str, str]], dict[str, dict[str, Any]]]:
    """Every command with what it showed, and the JSON of every transfer."""
    student, teacher = f"models/{STUDENT}", f"models/{TEACHER}"
    data = ["--data", "cifar10-jpeg"]
    shown = [_run(here, ["compare", student, teacher, *MODEL_OPTIONS, *data])[:2]]
    split = ["--strategy", "uniform", "--num-clients", "20", "--out", "split"]
    shown.append(_run(here, ["partition", "cifar10-jpeg", *split])[:2])
    outcomes = {}
    for name, options in TRANSFERS.items():
        sides = ["--student", student, "--teacher", teacher, *MODEL_OPTIONS, *data]
        client = ["--split", "split/partition.json", "--client", "0"]
        command, text, output = _run(
            here, ["transfer", *sides, *client, *options, "--epochs", "3", "--out", name, "--json"]
        )
        shown.append((command, text))
        outcomes[name] = json.loads(output)
    return shown, outcomes


def _run(here: Path, words: list[str]) -> tuple[str, str, str]:
    """The command as a user writes it, what it showed on stderr, and its stdout."""
    program = Path(sys.executable).with_name("limbeck")
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "XDG_CACHE_HOME": str(here / "cache")}
    done = subprocess.run(
        [program, *words],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return " ".join(["limbeck", *words]), done.stderr, done.stdout


def _draw(page_path: Path, picture: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto(page_path.resolve().as_uri())
        for plot in page.locator(".plot").all():
            plot.scroll_into_view_if_needed()
            page.wait_for_timeout(DRAW_MILLISECONDS / 5)
        page.evaluate("window.scrollTo(0, 0)")
        page.wait_for_timeout(DRAW_MILLISECONDS)
        page.screenshot(path=picture, full_page=True)
        browser.close()


def _describe(shown: list[tuple[str, str]], outcomes: dict[str, dict[str, Any]]) -> str:
    hardware = describe_hardware(torch.device("cpu"))
    versions = ", ".join(f"{name} {version}" for name, version in describe_versions().items())
    lines = [
        "# Two published checkpoints",
        "",
        "Two CIFAR-10 models that somebody else trained and published: ResNet-20 (91.8 % on the original",
        "images) and ResNet-32 (92.8 %). The images here are CIFAR-10 re-encoded as JPEG, on which both lose",
        "about ten points. ResNet-20 is the student, a client that has 2,500 training images.",
        "",
        f"Made by `python -m benchmarks.published_models`, commit `{find_commit()}`, one run each, on",
        f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB. {versions}.",
        "",
        "## What came of it",
        "",
        *_tabulate(outcomes),
        "",
        "Accuracies are on the 10,000 test images, which decide nothing; `finetune` had the same images,",
        "steps and learning rate without a teacher. The whole records are beside this page.",
        "",
        "## Every command and what it showed",
    ]
    for command, text in shown:
        table = "\n".join(line.rstrip() for line in text.splitlines() if " steps" not in line).strip("\n")
        lines += ["", "```sh", command, "```", "", "```text", table, "```"]
    lines += ["", "## The pages", "", "![The page of the comparison](compare.png)", ""]
    lines += ["![The page of the transfer with dp-kd](transfer.png)"]
    return "\n".join(lines) + "\n"


def _tabulate(outcomes: dict[str, dict[str, Any]]) -> list[str]:
    first = next(iter(outcomes.values()))
    return [
        "| technique | before | after | gain | forgetting | newly right | newly wrong | seconds |",
        "|---|---|---|---|---|---|---|---|",
        *map(_tabulate_row, (first["baseline"], *outcomes.values())),
    ]


def _tabulate_row(attempt: dict[str, Any]) -> str:
    cells = [
        attempt["technique"],
        f"{attempt['accuracy_before']:.2%}",
        f"{attempt['accuracy_after']:.2%}",
        f"{100 * attempt['gain']:+.2f} points",
        f"{100 * attempt['forgetting']:.2f} points",
        str(attempt["positive_flips"]),
        str(attempt["negative_flips"]),
        f"{attempt['seconds']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
