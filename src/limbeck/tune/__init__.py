"""Search of temperature and weight."""

from limbeck.tune.grid import choose_best, grid_points

__all__ = ["choose_best", "grid_points"]
