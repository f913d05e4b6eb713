"""Files that people write: read whole, and every mistake is one sentence with its place."""

import pytest
from pydantic import Field, ValidationError

from limbeck.core.errors import InputError
from limbeck.core.spec_files import Part, parse_part, read_part

REMEDY = "`limbeck --help` shows one."


class Inner(Part):
    """A part of a part."""

    size: int = Field(ge=1)


class Outer(Part):
    """A file."""

    name: str
    inner: Inner
    others: tuple[Inner, ...] = ()


GOOD = "name: a\ninner: {size: 2}\nothers: [{size: 3}]\n"


def parse(text):
    return parse_part(text, Outer, origin="test.yaml", remedy=REMEDY)


def test_a_text_becomes_the_record():
    assert parse(GOOD) == Outer(name="a", inner=Inner(size=2), others=(Inner(size=3),))


def test_a_file_is_read_like_its_text(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(GOOD.replace("name: a", "name: ä"), encoding="utf-8")
    assert read_part(path, Outer, remedy=REMEDY).name == "ä"


def test_nothing_changes_after_it_is_built():
    with pytest.raises(ValidationError, match="frozen"):
        parse(GOOD).name = "b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", ["`test.yaml` must be YAML", "line 1", "Correct that line"]),
        ("name: a\n\tinner: b", ["`test.yaml` must be YAML", "line 2"]),
        ("name: !!python/object/apply:os.system ['true']", ["must be YAML", "python/object/apply"]),
        ("", ["a spec is a mapping of keys to values", "NoneType in `test.yaml`", REMEDY]),
        ("- a\n- b", ["a spec is a mapping", "list in `test.yaml`", REMEDY]),
        ("just words", ["a spec is a mapping", "str in `test.yaml`"]),
        ("inner: {size: 2}", ["Missing key `name` in `test.yaml`"]),
        (GOOD + "nmae: b", ["Unknown key `nmae` in `test.yaml`", "Did you mean `name`"]),
        ("name: a\ninner: {siz: 2}", ["Unknown key `inner.siz`", "Did you mean `size`"]),
        ("name: a\ninner: {size: 0}", ["greater than or equal to 1", "0 at `inner.size` in `test.yaml`"]),
        ("name: a\ninner: {size: 1}\nothers: [{size: 1}, {size: x}]", ["'x' at `others[1].size`"]),
        ("inner: {size: 0}", ["1 more after this one"]),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(text, words):
    with pytest.raises(InputError) as caught:
        parse(text)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("content", [None, b"name: \xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(content, tmp_path):
    path = tmp_path / "spec.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"spec\.yaml` must be a readable YAML file, but: .* Check the path\."
    ):
        read_part(path, Outer, remedy=REMEDY)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="must be a readable YAML file"):
        read_part(tmp_path, Outer, remedy=REMEDY)
