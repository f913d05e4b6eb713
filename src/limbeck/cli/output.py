"""What commands print: people read stderr, programs read one JSON object on stdout."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console


def make_console() -> Console:
    """A console on stderr."""
    return Console(stderr=True, highlight=False)


def print_json(content: Mapping[str, Any]) -> None:
    """Print one object on stdout."""
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
