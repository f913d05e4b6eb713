"""Copy a study's main tables and pictures into the documentation.

``python -m benchmarks.publish STUDY_FOLDER docs/results/NAME`` writes `index.md`, the spec, the first screen
and the sections of the report as a browser draws them, `study.json`, and the parquet tables that have rows.
It needs a Chromium.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from playwright.sync_api import Page, sync_playwright

from limbeck.core.errors import enumerate_words
from limbeck.core.files import write_text
from limbeck.report import summary_markdown, tuning_worth
from limbeck.study import list_builtin

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECTIONS = {
    "findings": "What was found",
    "techniques": "Techniques by scenario",
    "tuning": "When tuning matters",
    "surface": "Temperature and weight",
    "forgetting": "Forgetting and flips",
    "federated": "Federated learning",
}
TABLES = ("results", "grid", "federation")
FIRST_SCREEN, SPEC_FILE = "report.png", "spec.yaml"
WIDTH, DRAW_MILLISECONDS = 1200, 1500


def main() -> None:
    """Publish the study named on the command line."""
    study, target = map(Path, sys.argv[1:3])
    about = json.loads((study / "study.json").read_text(encoding="utf-8"))
    pictures = _draw(study / "report.html", target)
    tables = [table for table in TABLES if len(pl.read_parquet(study / f"{table}.parquet"))]
    texts = [summary_markdown(study), *([_relate_worth(study)] if "results" in tables else [])]
    write_text(target / "index.md", _describe(about, pictures, texts, tables))
    write_text(target / SPEC_FILE, yaml.safe_dump(about["spec"], sort_keys=False, width=110))
    shutil.copyfile(study / "study.json", target / "study.json")
    for table in tables:
        shutil.copyfile(study / f"{table}.parquet", target / f"{table}.parquet")


def _draw(page_path: Path, target: Path) -> dict[str, str]:
    """A picture of each section that the report has, by the section's title."""
    target.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto(page_path.resolve().as_uri())
        page.wait_for_function("window.Plotly")
        page.screenshot(path=target / FIRST_SCREEN)
        drawn = {title: _draw_section(page, name, target) for name, title in SECTIONS.items()}
        browser.close()
    return {title: name for title, name in drawn.items() if name}


def _draw_section(page: Page, name: str, target: Path) -> str | None:
    section = page.locator(f"section#{name}")
    if not section.count():
        return None
    for plot in section.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        page.wait_for_timeout(DRAW_MILLISECONDS / 5)
    page.wait_for_timeout(DRAW_MILLISECONDS)
    section.screenshot(path=target / f"{name}.png")
    return f"{name}.png"


def _relate_worth(study: Path) -> str:
    """The headline figure of the published study, computed over this one's scenarios."""
    results = pl.read_parquet(study / "results.parquet")
    uniform = results.filter(pl.col("strategy") == "uniform")["scenario"].unique().to_list()
    worth = tuning_worth(results).with_columns(pl.col("scenario").is_in(uniform).alias("is_uniform"))
    lines = []
    for is_uniform, kind in ((True, "uniform"), (False, "other")):
        relative = worth.filter(pl.col("is_uniform") == is_uniform)["relative_percent"].drop_nulls()
        if len(relative):
            mean, low, high = relative.mean(), relative.min(), relative.max()
            lines.append(
                f"* Gain of tuned KD over the best untuned technique, {kind} splits: mean {mean:+.0f} % of "
                f"{len(relative)} cases ({low:+.0f} % to {high:+.0f} %)."
            )
    return "\n".join(lines)


def _describe(about: dict[str, Any], pictures: dict[str, str], texts: list[str], tables: list[str]) -> str:
    hardware, runs = about["hardware"], about["runs"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"# {about['name']}",
        "",
        f"`limbeck study {_name_spec(about)}`, commit `{about['commit']}`, spec hash `{about['spec_hash']}`,",
        f"data fingerprint `{about['data']['fingerprint']}`. {runs['total']} runs, {runs['failed']} failed,",
        f"in {about['elapsed_seconds'] / 60:.1f} minutes on {hardware['cpu']}, {hardware['cores']} cores,",
        f"{hardware['memory_gib']} GiB, {about['workers']} workers. {versions}.",
        "",
        f"Every number below is in the tables beside this page: "
        f"{enumerate_words([f'`{table}.parquet`' for table in tables])}.",
        "",
        "\n\n".join(texts),
    ]
    for title, name in pictures.items():
        lines += ["", f"## {title}", "", f"![{title}]({name})"]
    return "\n".join(lines) + "\n"


def _name_spec(about: dict[str, Any]) -> str:
    """The built-in study's name, or the file beside the page."""
    return about["name"] if about["name"] in list_builtin() else SPEC_FILE


if __name__ == "__main__":
    main()
