"""dkd: decoupled distillation, the label's probability and the order of the others weighed apart.

Reference: Zhao et al. 2022, "Decoupled Knowledge Distillation", arXiv 2203.08679, equation 7.
Deviations from the paper: labels and distillation are weighed with (1 - w) and w; the paper's sum with weight
1 on both is w = 0.5 at twice the learning rate. Several teachers count through the mean of their softened
probabilities. Without the paper's warm-up of the distillation term, since students are trained already.
Cost: one forward pass of each teacher over the transfer set.
"""

from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from limbeck.losses import dkd
from limbeck.techniques.record import FrozenTechnique, check_coefficients, teachers_target


@dataclass(frozen=True, kw_only=True)
class DkdSettings:
    """Settings of DKD.

    Attributes:
        temperature: T > 0.
        weight: w in [0, 1].
        alpha: Weight of the label's class against all others, at least 0.
        beta: Weight of the others among themselves, at least 0; of no effect with two classes.

    Raises:
        InputError: When built with values out of range.
    """

    temperature: float
    weight: float
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        check_coefficients(self)


def decoupled_pull(
    student_logits: Tensor, target_logits: Tensor, labels: Tensor | None, settings: DkdSettings
) -> Tensor:
    """T^2 (alpha TCKD + beta NCKD) of each sample."""
    assert labels is not None
    return dkd(
        student_logits,
        target_logits,
        labels,
        alpha=settings.alpha,
        beta=settings.beta,
        temperature=settings.temperature,
    )


DKD = FrozenTechnique[DkdSettings](
    name="dkd",
    title="Decoupled KD",
    reference="Zhao et al. 2022, arXiv 2203.08679",
    deviations="the weights of labels and teacher sum to 1; no warm-up",
    cost="one forward pass of each teacher",
    needs_labels=True,
    defaults=DkdSettings(temperature=4, weight=0.5, alpha=1, beta=8),
    target_fn=teachers_target,
    pull_fn=decoupled_pull,
    search_space=MappingProxyType(
        {"temperature": (1, 2, 4), "weight": (0.1, 0.3, 0.5), "alpha": (1,), "beta": (1, 2, 8)}
    ),
)
