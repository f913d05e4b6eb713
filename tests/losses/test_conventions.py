"""The page on other libraries' conventions says what was computed."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import conventions

RESULT = json.loads(conventions.RESULT.read_text(encoding="utf-8"))
PAGE = Path(conventions.__file__).parents[1] / "docs" / "conventions.md"
ROWS = [row for library in RESULT["libraries"].values() for row in library["rows"]]


def test_the_page_holds_the_table_of_the_result():
    assert conventions.render_table(RESULT) in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row["ours"] is not None], ids=lambda row: row["setting"]
)
def test_a_conversion_is_exact_unless_it_says_otherwise(row):
    is_approximate = row["conversion"].startswith("≈")
    assert (row["difference"] > 1e-12) is is_approximate
    assert (row["gradient_difference"] > 1e-12) is is_approximate


def test_the_common_setting_has_the_check_value_in_every_library_that_can_express_it():
    common = [row["theirs"] for row in ROWS if row["conversion"] == "T = 4, w = 0.9"]
    assert common == pytest.approx([0.362255] * len(common), abs=5e-7)


def test_the_inputs_are_the_check_inputs(student_logits, teacher_logits, labels):
    assert torch.equal(conventions.STUDENT, student_logits)
    assert torch.equal(conventions.TEACHER, teacher_logits)
    assert torch.equal(conventions.LABELS, labels)


def test_what_is_not_installed_is_said_and_not_made_up():
    result = {"libraries": {"somelib": {"version": None, "not_installed": "No module named 'x'", "rows": []}}}
    table = conventions.render_table(result)
    assert table.endswith("somelib is not installed: No module named 'x'.")
    assert len(table.splitlines()) == 4  # the head, its rule, an empty line and the sentence
