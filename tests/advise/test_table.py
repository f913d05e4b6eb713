"""From studies' folders to measured cases, on the published studies that the shipped table is made of."""

import shlex
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from limbeck.advise import Setting, read_measured, read_studies
from limbeck.core.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = read_measured()
FOLDERS = [ROOT / word for word in shlex.split(SHIPPED.about["command"])[3:]]


@pytest.fixture(scope="module")
def measured():
    return read_studies(FOLDERS, command=SHIPPED.about["command"])


def test_the_shipped_table_is_what_its_command_makes(measured):
    assert measured.settings == SHIPPED.settings
    assert measured.cases.equals(SHIPPED.cases)
    assert np.array_equal(measured.gains, SHIPPED.gains, equal_nan=True)
    assert np.array_equal(measured.validation_gains, SHIPPED.validation_gains, equal_nan=True)
    assert measured.federations.equals(SHIPPED.federations)
    assert measured.about["studies"] == SHIPPED.about["studies"]


def test_a_gain_is_that_of_the_grid_in_its_case(measured):
    grid = pl.read_parquet(FOLDERS[0] / "grid.parquet")
    row = grid.row(len(grid) // 2, named=True)
    setting = Setting(
        technique="kd", temperature=row["temperature"], weight=row["weight"], place=row["transfer_set"]
    )
    names = ("scenario", "seed", "student_client", "teacher_client", "student_arch", "teacher_arch")
    is_own = measured.cases.select(pl.all_horizontal(pl.col(name) == row[name] for name in names)).to_series()
    [place] = is_own.arg_true().to_list()
    assert measured.gains[place, measured.settings.index(setting)] == pytest.approx(row["gain"])


def test_disjoint_clients_are_described_as_such(measured):
    rows = measured.cases.filter(pl.col("scenario") == "disjoint")
    assert rows["divergence"].to_list() == pytest.approx([1.0] * rows.height)
    assert rows["missing"].to_list() == pytest.approx([1.0] * rows.height)
    assert rows["student_spread"].to_list() == pytest.approx([0.5] * rows.height, abs=1e-4)


def test_a_study_is_named_once_and_has_its_account(tmp_path):
    with pytest.raises(InputError, match="every study is named once"):
        read_studies([FOLDERS[0], FOLDERS[0]])
    shutil.copyfile(FOLDERS[0] / "results.parquet", tmp_path / "results.parquet")
    with pytest.raises(InputError, match=r"`study.json` must lie in the study's folder"):
        read_studies([tmp_path])
