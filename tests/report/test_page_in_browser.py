"""The page in a real browser: no errors, no sideways scrolling, working switches."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.report.federation_folder import write_federation
from tests.report.pair_records import make_comparison, make_record, make_wide_comparison

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs the system's Chromium at {CHROMIUM}"),
]


@pytest.fixture
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


def open_page(browser, path: Path, width: int, scheme: str = "light"):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: request.url.startswith("http") and complaints.append(request.url))
    page.goto(path.as_uri())
    return page, complaints


def draw_everything(page) -> None:
    """Bring every plot into view, as a reader who scrolls does, until all are drawn."""
    for place in page.locator("[data-figure]").all():
        place.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelectorAll('[data-figure]:not(:has(.main-svg))').length === 0")


def test_the_page_is_sound_at_every_width_and_in_both_schemes(browser, write_folder):
    from limbeck.report import build

    path = build(write_folder(num_classes=10, num_clients=10, num_strategies=2))
    for width, scheme in ((375, "light"), (1600, "dark")):
        page, complaints = open_page(browser, path, width, scheme)
        draw_everything(page)
        page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []
        page.close()


@pytest.mark.parametrize("num_classes", [3, 60])
def test_the_pages_of_pairs_are_sound_at_every_width_and_in_both_schemes(browser, tmp_path, num_classes):
    from limbeck.report import build_comparison_page, build_transfer_page

    comparison = make_comparison() if num_classes == 3 else make_wide_comparison(num_classes)
    paths = [
        build_comparison_page(comparison, tmp_path / "comparison.html"),
        build_transfer_page(make_record(), tmp_path / "transfer.html", weights=tmp_path / "m.safetensors"),
    ]
    for path in paths:
        for width, scheme in ((375, "light"), (1600, "dark")):
            page, complaints = open_page(browser, path, width, scheme)
            draw_everything(page)
            page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert complaints == []
            page.close()


def test_the_switch_changes_the_axis_of_the_federated_curves(browser, write_folder):
    from limbeck.report import build

    page, complaints = open_page(browser, build(write_folder(num_scenarios=1)), 1600)
    draw_everything(page)
    read = "document.getElementById('plot-federated-0').{}"
    last = read.format("data.at(-1).x.at(-1)")
    title = read.format("layout.xaxis.title.text")
    assert page.evaluate(last) == 4
    page.get_by_role("radio", name="bytes").check()
    assert page.evaluate(last) == pytest.approx(9.6)
    page.get_by_label("with the cost of the start").check()
    assert page.evaluate(last) == pytest.approx(10.8)
    assert "making the start included" in page.evaluate(title)
    page.get_by_role("radio", name="seconds").check()
    assert page.evaluate(last) == pytest.approx(4 * 4.1 + 44 + 58)
    assert complaints == []


def test_the_choice_shows_the_starts_of_a_strategy_or_the_strategies_of_a_start(browser, write_folder):
    from limbeck.report import build

    page, complaints = open_page(browser, build(write_folder(num_scenarios=1, num_strategies=2)), 1600)
    draw_everything(page)
    shown = """document.getElementById('plot-federated-0').data
        .filter((trace) => trace.visible !== false && !trace.fill).map((trace) => trace.name)"""
    colours = shown.replace("trace.name", "trace.line.color")
    assert page.evaluate(shown)[:2] == ["scratch, FedAvg", "best client, FedAvg"]
    assert page.get_by_label("Strategies", exact=True).is_hidden()
    page.get_by_label("Curves").select_option("hub, every strategy")
    assert page.evaluate(shown) == ["hub, FedAvg", "hub, FedProx, mu = 1.0"]
    assert len(set(page.evaluate(colours))) == 2
    assert page.get_by_label("Strategies", exact=True).is_visible()
    assert page.get_by_label("Starts", exact=True).is_hidden()
    page.get_by_label("Curves").select_option("FedProx, mu = 1.0, every start")
    assert len(page.evaluate(shown)) == len(set(page.evaluate(colours))) == 5
    assert complaints == []


def test_the_page_of_a_federation_is_sound_and_its_switch_knows_the_bytes_of_the_start(browser, tmp_path):
    from limbeck.report import build_federation_page

    path = build_federation_page(write_federation(tmp_path / "run", target=0.9))
    for width, scheme in ((390, "light"), (1280, "dark")):
        page, complaints = open_page(browser, path, width, scheme)
        draw_everything(page)
        page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        last = "document.getElementById('plot-curves').data.find((trace) => trace.name === 'test').x.at(-1)"
        assert page.evaluate(last) == 3
        page.get_by_role("radio", name="bytes").check()
        assert page.evaluate(last) == pytest.approx(0.85)
        page.get_by_label("with the bytes of the start").check()
        assert page.evaluate(last) == pytest.approx(1.0)
        page.get_by_role("radio", name="seconds").check()
        assert page.evaluate(last) == pytest.approx(6.5)
        assert page.get_by_label("with the bytes of the start").is_disabled()
        assert complaints == []
        page.close()
