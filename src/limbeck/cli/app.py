"""The command line: it parses, calls the library, prints, and turns errors into one sentence and a status.

Exit status: 0 done, 1 failed, 2 wrong input. With `--json` one object goes to stdout; all else to stderr.
"""

import signal
import sys
from collections.abc import Sequence
from typing import Any

import typer
import typer.core

from limbeck.cli.advise import advise
from limbeck.cli.compare import compare
from limbeck.cli.doctor import doctor
from limbeck.cli.federate import federate
from limbeck.cli.output import reserve_stdout
from limbeck.cli.partition import partition
from limbeck.cli.report import report
from limbeck.cli.study import study
from limbeck.cli.transfer import transfer
from limbeck.cli.tune import tune
from limbeck.core.errors import InputError, RunError

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # of the click that this typer uses

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What typer makes of `KeyboardInterrupt`; no command returns it.
_INTERRUPTED = 130

# Otherwise typer below 0.21 escapes the brackets of help texts for rich, which does not print them here.
typer.core.HAS_RICH = False

app = typer.Typer(
    name="limbeck",
    help="Move knowledge between classifiers that were trained apart, and measure what it is worth.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (study, partition, compare, transfer, tune, advise, federate, report, doctor):
    app.command()(reserve_stdout(command))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Args:
        arguments: Words after the program's name; None for those it was called with.
    """
    for number in _STOP_SIGNALS:
        signal.signal(number, _interrupt)
    sys.exit(_run(arguments))


def _interrupt(number: int, frame: Any) -> None:
    """Stop once: a second signal would interrupt the tidying up, which takes a few seconds at most."""
    del number, frame
    for stop in _STOP_SIGNALS:
        signal.signal(stop, signal.SIG_IGN)
    raise KeyboardInterrupt


def _run(arguments: Sequence[str] | None) -> int:
    try:
        status = app(args=arguments, standalone_mode=False)
    except UsageError as error:
        return _complain(f"{_end_sentence(error.format_message())} `limbeck --help` lists what there is.", 2)  # pyright: ignore[reportAttributeAccessIssue]
    except InputError as error:
        return _complain(str(error), 2)
    except RunError as error:
        return _complain(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    if status == _INTERRUPTED:
        return _complain("Interrupted. Nothing was written.", 1)
    return status if isinstance(status, int) else 0


def _complain(sentence: str, status: int) -> int:
    print(f"limbeck: {sentence}", file=sys.stderr)  # noqa: T201
    return status


def _end_sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
