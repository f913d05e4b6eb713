"""The pages name what there is."""

from pathlib import Path

import pytest

from limbeck.federate import STARTS, STRATEGIES
from limbeck.federate.spec import FederateSpec

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("strategies.md", STRATEGIES),
        ("starts.md", STARTS),
        ("federate.md", FederateSpec.model_fields.keys() - {"name", "description"}),
    ],
)
def test_a_page_names_all_there_is(page, names):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in text and f"\n{name}:" not in text] == []
