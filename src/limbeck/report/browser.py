"""The figures of a page as SVG and PNG, drawn by the page's own plotly.js in a browser without a window.

No package draws plotly's figures outside of a browser, so any Chromium that the machine has is asked: it
opens one local page, draws, and prints the page with the pictures in it. Nothing is fetched.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import plotly.graph_objects as go

from limbeck.core.errors import RunError
from limbeck.core.files import write_text
from limbeck.report.embed import embed_figure, render

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
SWITCHES = (
    "--headless",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--virtual-time-budget=600000",
    "--dump-dom",
)
# A browser draws some ten figures per second; a page with more of them would need much memory.
FIGURES_PER_PAGE = 40
MAX_SECONDS = 300
PNG_PREFIX = "data:image/png;base64,"


@dataclass(frozen=True, kw_only=True)
class Images:
    """One figure as it stands in a file.

    Attributes:
        svg: As SVG.
        png: As PNG with two pixels per SVG pixel in each direction.
    """

    svg: str
    png: bytes


def find_browser() -> str | None:
    """The path of the first of `BROWSERS` that this machine has, None where it has none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def draw_images(figures: Mapping[str, go.Figure], *, width: int) -> dict[str, Images]:
    """Each figure as SVG and PNG, in the report's light colours on white.

    Args:
        figures: By name, with their heights.
        width: Of all of them, in pixels.

    Raises:
        RunError: When no browser is there, or it does not answer as it should.
    """
    browser = find_browser()
    if browser is None:
        raise RunError(
            "Figures are drawn by a Chromium, Chrome or Edge on the search path, but there is none. "
            "Install one (Debian: `apt install chromium`) and run the same command again."
        )
    names = list(figures)
    drawn: dict[str, Images] = {}
    for first in range(0, len(names), FIGURES_PER_PAGE):
        chosen = names[first : first + FIGURES_PER_PAGE]
        drawn |= _draw_page(browser, {name: figures[name] for name in chosen}, width)
    return drawn


def _draw_page(browser: str, figures: Mapping[str, go.Figure], width: int) -> dict[str, Images]:
    embedded = {name: embed_figure(figure) for name, figure in figures.items()}
    with tempfile.TemporaryDirectory() as name:
        page = Path(name) / "figures.html"
        write_text(page, render("images.html.j2", figures=embedded, width=width))
        printed = _print_page(browser, page, profile=Path(name) / "profile")
    found = re.search(r'<pre id="images">(.*?)</pre>', printed, re.DOTALL)
    if found is None:
        raise RunError(
            f"`{browser}` must draw {len(figures)} figures, but printed a page without them. "
            "Install a newer one."
        )
    return {
        drawn["name"]: Images(svg=drawn["svg"], png=base64.b64decode(drawn["png"].removeprefix(PNG_PREFIX)))
        for drawn in json.loads(unescape(found[1]))
    }


def _print_page(browser: str, page: Path, *, profile: Path) -> str:
    # Chromium refuses to run as root inside its sandbox; the page is our own and loads nothing.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    switches = [*SWITCHES, f"--user-data-dir={profile}", *(["--no-sandbox"] if is_root else [])]
    try:
        done = subprocess.run(
            [browser, *switches, page.as_uri()], capture_output=True, timeout=MAX_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RunError(
            f"`{browser}` must print a page within {MAX_SECONDS} s, but did not ({type(error).__name__}). "
            "Try it by hand, or install another one."
        ) from error
    return done.stdout.decode("utf-8", errors="replace")
