"""What commands that track runs share: the option's help, and who is told what."""

from collections.abc import Callable
from typing import TypeVar

from rich.console import Console

News = TypeVar("News")
TRACK_HELP = (
    "Also show runs live in tensorboard, mlflow or wandb: NAME, or NAME=DESTINATION such as "
    "mlflow=http://127.0.0.1:5000; may be repeated."
)


def make_warn_fn(console: Console) -> Callable[[str], None]:
    """Prints what goes wrong with a tracker."""
    return lambda sentence: console.print(f"Warning: {sentence}", markup=False, soft_wrap=True)


def call_both(first: Callable[[News], None], second: Callable[[News], None]) -> Callable[[News], None]:
    """Tells two in turn."""

    def call(news: News) -> None:
        first(news)
        second(news)

    return call
