"""Pure functions on logits; each returns one number per sample, and only the engine reduces."""

from limbeck.losses.distillation import check_settings, distillation, kd
from limbeck.losses.mutual import mutual
from limbeck.losses.selection import select_targets
from limbeck.losses.supervised import cross_entropy
from limbeck.losses.teachers import mean_probabilities

__all__ = [
    "check_settings",
    "cross_entropy",
    "distillation",
    "kd",
    "mean_probabilities",
    "mutual",
    "select_targets",
]
