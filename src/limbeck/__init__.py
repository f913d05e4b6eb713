"""limbeck moves knowledge between classifiers that were trained apart, and measures what it is worth.

The folders are imported when first used, so that `import limbeck` and `limbeck --help` answer at once.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck import (
        advise,
        data,
        engine,
        federate,
        losses,
        models,
        pairs,
        partition,
        report,
        study,
        techniques,
        track,
        tune,
    )
    from limbeck.pairs import compare, transfer

__all__ = [
    "__version__",
    "advise",
    "compare",
    "data",
    "engine",
    "federate",
    "losses",
    "models",
    "pairs",
    "partition",
    "report",
    "study",
    "techniques",
    "track",
    "transfer",
    "tune",
]

__version__ = version("limbeck")

_FUNCTIONS = {"compare": "limbeck.pairs", "transfer": "limbeck.pairs"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module `limbeck` has no attribute `{name}`")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    return importlib.import_module(f"limbeck.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
