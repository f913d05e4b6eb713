"""Search of a technique's settings."""

from limbeck.tune.grid import choose_best, grid_points
from limbeck.tune.record import Tuned, Worth, compare_paired
from limbeck.tune.search import DRIVERS, Tried
from limbeck.tune.tuning import tune

__all__ = ["DRIVERS", "Tried", "Tuned", "Worth", "choose_best", "compare_paired", "grid_points", "tune"]
