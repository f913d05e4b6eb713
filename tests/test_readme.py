"""What the README shows works as it stands."""

import re
from pathlib import Path

from torch import nn

from limbeck.cli.app import app
from limbeck.partition import STRATEGIES
from limbeck.techniques import TECHNIQUES

README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_the_python_example_gives_a_plain_module():
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL).group(1)
    names = {}
    exec(code, names)
    assert isinstance(names["outcome"].student, nn.Module)


def test_every_command_strategy_and_technique_is_named():
    commands = [command.callback.__name__ for command in app.registered_commands]
    for name in (*commands, *STRATEGIES, *TECHNIQUES):
        assert name.removesuffix("-unsupervised") in TEXT


def test_the_files_it_links_to_exist():
    for link in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (README.parent / link).exists(), link
