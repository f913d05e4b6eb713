"""limbeck moves knowledge between classifiers that were trained apart, and measures what it is worth.

The folders are imported when first used, so that `import limbeck` and `limbeck --help` answer at once.
"""

import importlib
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limbeck import data, engine, federate, losses, models, partition, report, study, techniques, tune

__all__ = [
    "__version__",
    "data",
    "engine",
    "federate",
    "losses",
    "models",
    "partition",
    "report",
    "study",
    "techniques",
    "tune",
]

__version__ = version("limbeck")


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module `limbeck` has no attribute `{name}`")
    return importlib.import_module(f"limbeck.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
