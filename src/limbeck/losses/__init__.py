"""Pure functions on logits; each returns one number per sample, and only the engine reduces.

`dist` alone returns one number per batch: its correlations within a class belong to no single sample.
"""

from limbeck.losses.alignment import align_logits
from limbeck.losses.bidirectional import bidirectional
from limbeck.losses.calibrated import calibrated_cross_entropy
from limbeck.losses.confidence import teacher_weights
from limbeck.losses.correlation import dist
from limbeck.losses.coverage import coverage_mean, share_mean
from limbeck.losses.decoupled import dkd
from limbeck.losses.distillation import blend, check_settings, distillation, kd
from limbeck.losses.mutual import mutual
from limbeck.losses.normalised import nkd
from limbeck.losses.not_true import ntd
from limbeck.losses.selection import select_targets
from limbeck.losses.standardization import standardize
from limbeck.losses.supervised import cross_entropy
from limbeck.losses.teachers import mean_logits, mean_probabilities, weighted_probabilities

__all__ = [
    "align_logits",
    "bidirectional",
    "blend",
    "calibrated_cross_entropy",
    "check_settings",
    "coverage_mean",
    "cross_entropy",
    "dist",
    "distillation",
    "dkd",
    "kd",
    "mean_logits",
    "mean_probabilities",
    "mutual",
    "nkd",
    "ntd",
    "select_targets",
    "share_mean",
    "standardize",
    "teacher_weights",
    "weighted_probabilities",
]
