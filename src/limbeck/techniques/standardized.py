"""-standardized: another technique on logits with mean 0 and standard deviation 1 in each row.

Reference: Sun et al. 2024, "Logit Standardization in Knowledge Distillation", arXiv 2403.01427, algorithm 1.
Deviations from the paper: none. The labels' cross-entropy sees the logits as they are, as in the paper.
Cost: that of the technique it wraps.
"""

from dataclasses import replace
from typing import TypeVar

from torch import Tensor

from limbeck.losses import standardize
from limbeck.techniques.record import FrozenTechnique, PullFn

S = TypeVar("S")


def standardize_technique(technique: FrozenTechnique[S], *, defaults: S) -> FrozenTechnique[S]:
    """`technique` with student and target standardized before they are compared.

    Args:
        technique: One with a pull.
        defaults: Its settings when nothing is tuned: standardized logits want a lower temperature.
    """
    assert technique.pull_fn is not None
    return replace(
        technique,
        name=f"{technique.name}-standardized",
        title=f"{technique.title}, standardized logits",
        reference="Sun et al. 2024, arXiv 2403.01427",
        defaults=defaults,
        pull_fn=_standardize_pull(technique.pull_fn),
    )


def _standardize_pull(pull_fn: PullFn[S]) -> PullFn[S]:
    def pull(student_logits: Tensor, target_logits: Tensor, labels: Tensor | None, settings: S) -> Tensor:
        return pull_fn(standardize(student_logits), standardize(target_logits), labels, settings)

    return pull
