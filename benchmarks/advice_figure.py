"""The figure of the advice's regret beside its rivals', as a browser draws it. It needs a Chromium."""

import tempfile
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from playwright.sync_api import sync_playwright

from benchmarks.publish import CHROMIUM, DRAW_MILLISECONDS
from limbeck.report import write_figure_html
from limbeck.report.canvas import new_figure

SHOWN = {
    "advice by both, 5 checked": "advice, best of 5 tries, checked",
    "advice by counts, 5 checked": "advice from label counts, best of 5 tries, checked",
    "advice by both, 3 checked": "advice, best of 3 tries, checked",
    "advice by both, 1 checked": "advice, first try, checked",
    "best fixed, honest, 5 checked": "5 fixed settings, best of 5 tries, checked",
    "best fixed, honest, 1 checked": "1 fixed setting, checked",
    "best fixed, hindsight": "best fixed setting, chosen in hindsight",
    "best fixed, honest": "best fixed setting, chosen on other scenarios",
    "always vanilla kd on the student's data": "always vanilla KD",
    "always finetune on the student's data": "always finetune",
    "leave alone": "leave the student alone",
}
ADVICE, RIVAL = "#2563eb", "#9ca3af"
WIDTH, BAR_HEIGHT = 900, 34


def write_figure(result: dict[str, Any], path: Path) -> None:
    """Draw regrets as bars, with how often the student was left worse, into a PNG file."""
    figure, height = draw_regrets(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="limbeck-") as folder, sync_playwright() as playwright:
        page_path = Path(folder) / "figure.html"
        write_figure_html(figure, page_path)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": height + 60}, device_scale_factor=2)
        page.goto(page_path.resolve().as_uri())
        page.wait_for_timeout(DRAW_MILLISECONDS)
        page.screenshot(path=path)
        browser.close()


def draw_regrets(result: dict[str, Any]) -> tuple[go.Figure, int]:
    """One bar per rule, with its mean regret and the share of transfers it left worse; and the height."""
    verdicts = result["verdicts"]
    shown = [(label, verdicts[name]) for name, label in SHOWN.items() if name in verdicts]
    labels = [label for label, _ in shown]
    texts = [
        f"{100 * verdict['regret']:.2f} points, worse in {100 * verdict['worse_transfers']:.1f} %"
        for _, verdict in shown
    ]
    title = f"Gain missed, {result['num_cases']} cases, {result['num_scenarios']} scenarios left out in turn"
    height = BAR_HEIGHT * len(shown) + 60
    figure = new_figure(title, height=height)
    figure.add_bar(
        x=[100 * verdict["regret"] for _, verdict in shown],
        y=labels,
        orientation="h",
        text=texts,
        textposition="outside",
        cliponaxis=False,
        marker={"color": [ADVICE if label.startswith("advice") else RIVAL for label in labels]},
    )
    longest = max(100 * verdict["regret"] for _, verdict in shown)
    figure.update_xaxes(title_text="mean regret in percentage points", range=[0, 1.45 * longest])
    return figure.update_yaxes(autorange="reversed", showgrid=False), height
