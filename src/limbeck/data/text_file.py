"""Plain text files: one text per line, without labels."""

from pathlib import Path

from limbeck.data.damage import damaged, explain_damage
from limbeck.data.inputs import Texts

KIND = "a text file in UTF-8 with one text per line"


def load_text_file(path: Path) -> Texts:
    """The lines of a file without their ends; blank lines are no texts.

    Raises:
        InputError: When the file is not UTF-8, or holds no text.
    """
    with explain_damage(path, KIND, UnicodeDecodeError):
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    texts = tuple(line.rstrip("\r") for line in lines if line.strip())
    if not texts:
        raise damaged(path, KIND, "it holds no text")
    return Texts(strings=texts)
