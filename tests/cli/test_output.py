"""What goes to stdout, and what is said of an interrupt while something is written."""

import json
import sys
from pathlib import Path

import pytest

from limbeck.cli.output import explain_interrupt, print_json, reserve_stdout
from limbeck.core.errors import RunError


@pytest.mark.parametrize(("as_json", "out", "err"), [(True, "", "noise\n"), (False, "noise\n", "")])
def test_noise_leaves_stdout_only_where_a_program_reads_it(as_json, out, err, capsys):
    @reserve_stdout
    def command(*, as_json):
        sys.stdout.write("noise\n")
        return 0

    assert command(as_json=as_json) == 0
    assert capsys.readouterr() == (out, err)


def test_the_object_goes_to_stdout_and_stdout_is_given_back_after_an_error(capsys):
    @reserve_stdout
    def command(*, as_json):
        sys.stdout.write("noise\n")
        print_json({"a": 1})
        raise RunError("no room")

    with pytest.raises(RunError, match="no room"):
        command(as_json=True)
    sys.stdout.write("after\n")
    output = capsys.readouterr()
    text, _, rest = output.out.partition("after")
    assert json.loads(text) == {"a": 1}
    assert rest == "\n"
    assert output.err == "noise\n"


def test_an_interrupt_while_something_is_written_names_the_place():
    said = pytest.raises(RunError, match="Interrupted while `new` was written, so it may be incomplete")
    with said, explain_interrupt(Path("new")):
        raise KeyboardInterrupt
