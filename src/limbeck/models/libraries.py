"""Optional libraries: imported where they are used, asked for by name where they are missing."""

from importlib.util import find_spec

from limbeck.core.errors import require


def require_library(name: str, *, extra: str) -> None:
    """Raise `InputError` with the command that installs it unless a library is there."""
    require(
        find_spec(name) is not None,
        f"the package {name} is installed",
        "no such package",
        f"Run `pip install 'limbeck[{extra}]'`.",
    )
