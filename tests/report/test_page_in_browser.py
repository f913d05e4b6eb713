"""The page in a real browser: no errors, no sideways scrolling, working switches."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from tests.report.conftest import write_study_folder
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
    """Bring every plot that is shown into view, as a reader who scrolls does, until all are drawn."""
    for place in page.locator("[data-figure]").all():
        if place.is_visible():
            place.scroll_into_view_if_needed()
    page.wait_for_function(
        """() => [...document.querySelectorAll('[data-figure]')]
            .every((place) => !place.offsetParent || place.querySelector('.main-svg'))"""
    )


def test_the_page_is_sound_at_every_width_and_in_both_schemes(browser, write_folder):
    from limbeck.report import build

    path = build(write_folder(num_classes=10, num_clients=10, num_strategies=2))
    for width, scheme in ((360, "light"), (768, "dark"), (1600, "dark")):
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


def visible_headings(page, section: str) -> set[str]:
    return {text for text in page.locator(f"#{section} article h3:visible").all_inner_texts() if text}


def test_the_picker_shows_one_scenario_everywhere_and_all_again(browser, write_folder):
    from limbeck.report import build

    page, complaints = open_page(browser, build(write_folder(num_scenarios=3)), 1440)
    draw_everything(page)
    everything = visible_headings(page, "surface")
    assert everything == {"Uniform", "Dirichlet, alpha 1.0", "Dirichlet, alpha 0.3"}
    page.get_by_label("Scenario", exact=True).select_option("Dirichlet, alpha 0.3")
    for section in ("surface", "forgetting", "federated"):
        assert visible_headings(page, section) == {"Dirichlet, alpha 0.3"}
    note = page.get_by_role("status")
    assert note.inner_text().startswith("Dirichlet, alpha 0.3")
    assert "tuning was worth" in note.inner_text()
    rows = page.locator("#tuning tbody tr[data-scenario]:visible th")
    assert rows.all_inner_texts() == ["Dirichlet, alpha 0.3"]
    assert page.locator("#runs details:visible").count() == 1
    opacity = "document.getElementById('plot-skew').data[0].marker.opacity"
    assert page.evaluate(opacity) == [0.15, 0.15, 1]
    page.get_by_label("Scenario", exact=True).select_option("All 3")
    assert visible_headings(page, "surface") == everything
    assert note.inner_text() == ""
    assert page.evaluate(opacity) == [1, 1, 1]
    assert complaints == []


def test_a_scenario_without_a_federated_part_says_so(browser, write_folder):
    from limbeck.report import build

    folder = write_folder(num_scenarios=2)
    path = folder / "federation.parquet"
    pl.read_parquet(path).filter(pl.col("scenario") == "uniform").write_parquet(path)
    page, complaints = open_page(browser, build(folder), 1440)
    page.get_by_label("Scenario", exact=True).select_option("Dirichlet, alpha 1.0")
    assert page.locator("#federated").get_by_text("Nothing of this scenario here.").is_visible()
    assert page.locator("#techniques > .none").is_hidden()
    assert complaints == []


def test_every_table_can_be_downloaded_and_holds_what_the_library_writes(browser, write_folder):
    from limbeck.report import build
    from limbeck.report.inputs import read_study
    from limbeck.report.table_files import render_csv
    from limbeck.report.tables import tabulate_techniques
    from limbeck.report.traces import trace_grid

    folder = write_folder(class_names=("</script>", 'a "quoted", name', "c"))
    path, found, num_tables = build(folder), {}, 1
    # Chromium asks before a page's eleventh download in a row, so each page gives eight.
    while len(found) < num_tables:
        first = len(found)
        page, complaints = open_page(browser, path, 1440)
        page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        num_tables = page.locator("table").count()
        for link in page.locator("a.download").all()[first : first + 8]:
            with page.expect_download() as event:
                link.click()
            name = event.value.suggested_filename
            assert name not in found
            found[name] = Path(event.value.path()).read_bytes().decode()
        assert complaints == []
        page.close()
    study = read_study(folder)
    assert found["techniques.csv"] == render_csv(tabulate_techniques(study))
    assert found["grid-uniform.csv"] == render_csv(trace_grid(study, "uniform"))
    assert len(found) == num_tables > 8


def test_every_run_is_listed_once_its_scenario_is_opened(browser, write_folder):
    from limbeck.report import build
    from limbeck.report.inputs import read_study
    from limbeck.report.traces import trace_transfers

    folder = write_folder(num_scenarios=1)
    page, complaints = open_page(browser, build(folder), 1440)
    table = page.locator("#runs table").first
    assert table.locator("tbody tr").count() == 0
    page.locator("#runs summary").first.click()
    wanted = trace_transfers(read_study(folder), "uniform")
    assert table.locator("tbody tr").count() == len(wanted.rows)
    assert table.locator("tbody th").all_inner_texts() == [row[0] for row in wanted.rows]
    assert table.locator("tbody tr").first.locator("td").count() == len(wanted.columns) - 1
    page.locator("#runs summary").first.click()
    page.locator("#runs summary").first.click()
    assert table.locator("tbody tr").count() == len(wanted.rows)
    assert complaints == []


def test_the_keyboard_alone_reaches_every_control(browser, write_folder):
    from limbeck.report import build

    page, complaints = open_page(browser, build(write_folder(num_strategies=2)), 1440)
    draw_everything(page)
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "scenario"
    page.keyboard.press("ArrowDown")
    assert visible_headings(page, "surface") == {"Uniform"}
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.name || document.activeElement.className"
            )
        )
        if page.evaluate("document.activeElement.name") == "axis":
            page.keyboard.press("ArrowRight")
        outline = page.evaluate(
            """() => [document.activeElement, document.activeElement.nextElementSibling]
                .some((part) => part && getComputedStyle(part).outlineStyle !== 'none')"""
        )
        assert outline, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    assert {"axis", "with-start", "view", "download", "table"} <= reached
    assert page.evaluate("document.getElementById('plot-federated-0').data.at(-1).x.at(-1)") == pytest.approx(
        9.6
    )
    summary = page.locator("#runs summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("#runs details").first.get_attribute("open") is not None
    assert complaints == []


def test_paper_gets_every_section_in_dark_ink_without_controls(browser, write_folder, tmp_path):
    from limbeck.report import build

    page, complaints = open_page(browser, build(write_folder()), 1440, "dark")
    dark = page.evaluate("getComputedStyle(document.body).color")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") != dark
    assert page.locator("form.picker").is_hidden()
    assert page.locator("#federated .controls").is_hidden()
    assert page.locator("a.download:visible").count() == 0
    folded = page.locator("#techniques details:not([open]) table")
    assert folded.count() > 0
    assert all(table.is_visible() for table in folded.all())
    page.emulate_media(media="screen")
    pdf = page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert pdf.startswith(b"%PDF")
    assert page.locator("[data-figure]:not([data-drawn])").count() == 0
    assert page.locator("#techniques details").first.get_attribute("open") is None
    assert complaints == []


def test_controls_and_landmarks_have_names(browser, write_folder):
    from limbeck.report import build

    page, _ = open_page(browser, build(write_folder(num_strategies=2)), 1440)
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() >= (1 if role in ("navigation", "main") else 0)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('select, input, button, [role=region], [role=img], section')]
            .filter((part) => !(part.labels?.length || part.textContent.trim() && part.tagName === 'BUTTON'
                || part.getAttribute('aria-label') || part.getAttribute('aria-labelledby'))).length"""
    )
    assert unnamed == 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_a_large_study_stays_below_ten_megabytes_and_draws_only_what_is_seen(browser, tmp_path):
    from benchmarks.report_size import write_large_study

    from limbeck.report import build

    assert write_large_study(tmp_path) > 5000
    path = build(tmp_path)
    assert path.stat().st_size < 10_000_000
    page, complaints = open_page(browser, path, 1440)
    page.wait_for_function("document.querySelector('#plot-effects .main-svg')")
    assert page.locator("[data-drawn]").count() < 20 < page.locator("[data-figure]").count()
    assert page.locator("tr").count() < 2000
    assert complaints == []


def test_the_page_of_two_studies_is_sound_and_its_controls_work(browser, tmp_path):
    from limbeck.report import build_two_studies_page

    for name in ("a", "b"):
        write_study_folder(tmp_path / name, num_scenarios=2, seeds=(0, 1), name=name)
    path = build_two_studies_page(tmp_path / "a", tmp_path / "b", tmp_path / "page.html")
    for width, scheme in ((360, "light"), (768, "light"), (1440, "dark")):
        page, complaints = open_page(browser, path, width, scheme)
        draw_everything(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("radio", name="seconds").check()
        title = page.evaluate("document.getElementById('plot-federated-0').layout.xaxis.title.text")
        assert title == "seconds of rounds"
        page.get_by_label("Scenario", exact=True).select_option("Uniform")
        assert visible_headings(page, "federated") == {"Uniform"}
        assert page.locator("#techniques tbody:visible tr.group").all_inner_texts() == ["Uniform"]
        assert complaints == []
        page.close()
