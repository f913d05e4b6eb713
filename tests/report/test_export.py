"""A report's tables and figures as files."""

import struct
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest
from tests.report.federation_folder import write_federation
from tests.report.test_table_files import check_latex

from limbeck.core.errors import RunError
from limbeck.report import browser
from limbeck.report.browser import find_browser
from limbeck.report.export import export_parts, export_report, list_figures
from limbeck.report.inputs import read_study
from limbeck.report.page import describe_page
from limbeck.report.pictures import picture_curves
from limbeck.report.table_files import render_csv
from limbeck.report.tables import Table, tabulate_techniques

needs_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="needs a Chromium on the search path"),
]


def parameters_of(folder: Path, ending: str) -> set[str]:
    return {path.stem for path in folder.glob(f"*.{ending}")}


def read_png_size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", content[16:24])


def test_without_a_browser_the_tables_are_written_and_the_sentence_names_the_remedy(
    write_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "BROWSERS", ("chromium",))
    folder = write_folder()
    with pytest.raises(RunError, match=r"Chromium, Chrome or Edge.*Install one"):
        export_report([folder], tmp_path / "out")
    study = read_study(folder)
    written = (tmp_path / "out" / "tables" / "techniques.csv").read_bytes().decode()
    assert written == render_csv(tabulate_techniques(study))
    assert not (tmp_path / "out" / "figures").exists()


def test_every_table_with_rows_becomes_csv_and_sound_latex(write_folder, tmp_path):
    shown = describe_page(read_study(write_folder(num_strategies=2, class_names=("a & b", "c_d", "50 %"))))
    tables = {name: value for name, value in shown.items() if isinstance(value, Table)}
    tables |= {"goals": shown["goals"], "traces": shown["traces"]}
    paths = export_parts(tables, tmp_path)
    names = parameters_of(tmp_path / "tables", "csv")
    assert names == parameters_of(tmp_path / "tables", "tex")
    assert {
        "techniques",
        "worth",
        "details",
        "rounds-to-70",
        "transfers-uniform",
        "federation-costs",
    } <= names
    assert len(paths) == 2 * len(names)
    for name in names:
        check_latex((tmp_path / "tables" / f"{name}.tex").read_text(encoding="utf-8"))
        frame = pl.read_csv(tmp_path / "tables" / f"{name}.csv")
        assert frame.height > 0


def test_names_that_are_no_file_names_do_not_leave_the_folder(write_folder, tmp_path):
    folder = write_folder(num_scenarios=1, num_rounds=0)
    for name in ("results", "grid"):
        path = folder / f"{name}.parquet"
        pl.read_parquet(path).with_columns(pl.lit("../../x y").alias("scenario")).write_parquet(path)
    shown = describe_page(read_study(folder))
    paths = export_parts({"traces": shown["traces"]}, tmp_path / "out")
    assert all(path.parent == tmp_path / "out" / "tables" for path in paths)
    assert {path.name for path in paths} >= {"grid-..-..-x-y.csv"}


def test_each_federated_strategy_gets_its_own_figure(write_folder):
    pictures = picture_curves(read_study(write_folder(num_scenarios=1, num_strategies=2)))
    figures = list_figures(pictures)
    assert list(figures) == ["federated-uniform-fedavg", "federated-uniform-fedprox-mu-1.0"]
    for name, strategy in zip(figures, ("fedavg", "fedprox mu=1.0"), strict=True):
        shown = {trace.meta["strategy"] for trace in figures[name].data if trace.visible}
        assert shown == {strategy}
    assert figures["federated-uniform-fedavg"].layout.title.text == "Uniform"


@pytest.mark.parametrize(
    "as_federation", [pytest.param(False, marks=needs_browser), pytest.param(True, marks=needs_browser)]
)
def test_every_figure_becomes_svg_and_png(write_folder, tmp_path, as_federation):
    folder = write_federation(tmp_path / "run") if as_federation else write_folder(num_scenarios=1)
    paths = export_report([folder], tmp_path / "out")
    assert all(path.is_file() for path in paths)
    figures = tmp_path / "out" / "figures"
    wanted = {"curves", "bytes"} if as_federation else {"effects", "skew", "worth", "surface-uniform"}
    assert wanted <= parameters_of(figures, "svg") == parameters_of(figures, "png")
    for path in figures.glob("*.svg"):
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        assert read_png_size(path.with_suffix(".png")) == (2 * width, 2 * height)
    if not as_federation:
        texts = (figures / "surface-uniform.svg").read_text(encoding="utf-8")
        assert "temperature T" in texts
        assert "solid frame: best" in texts


@pytest.mark.skipif(not Path("/bin/true").exists(), reason="needs /bin/true")
def test_a_browser_that_draws_nothing_is_named(write_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(browser, "BROWSERS", ("/bin/true",))
    with pytest.raises(RunError, match=r"/bin/true.*printed a page without them"):
        export_report([write_folder(num_scenarios=1)], tmp_path / "out")
