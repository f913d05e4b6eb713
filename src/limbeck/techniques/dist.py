"""dist: the student's probabilities correlate with the teacher's, in each sample and in each class.

Reference: Huang et al. 2022, "Knowledge Distillation from A Stronger Teacher", arXiv 2205.10536, equations 8
to 10.
Deviations from the paper: labels and distillation are weighed with (1 - w) and w; the paper's sum with weight
1 on both is w = 0.5 at twice the learning rate. Several teachers count through the mean of their softened
probabilities. A last batch of one sample has no columns to correlate and counts by its row alone.
Cost: one forward pass of each teacher over the transfer set.
"""

from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from limbeck.losses import dist
from limbeck.techniques.record import FrozenTechnique, check_coefficients, teachers_target


@dataclass(frozen=True, kw_only=True)
class DistSettings:
    """Settings of DIST.

    Attributes:
        temperature: T > 0.
        weight: w in [0, 1].
        beta: Weight of the correlation within samples, at least 0.
        gamma: Weight of the correlation within classes, at least 0.

    Raises:
        InputError: When built with values out of range.
    """

    temperature: float
    weight: float
    beta: float
    gamma: float

    def __post_init__(self) -> None:
        check_coefficients(self)


def correlation_pull(
    student_logits: Tensor, target_logits: Tensor, labels: Tensor | None, settings: DistSettings
) -> Tensor:
    """T^2 (beta (1 - mean row correlation) + gamma (1 - mean column correlation)) of the batch, a scalar."""
    del labels
    gamma = settings.gamma if len(student_logits) > 1 else 0.0
    return dist(
        student_logits, target_logits, beta=settings.beta, gamma=gamma, temperature=settings.temperature
    )


DIST = FrozenTechnique[DistSettings](
    name="dist",
    title="DIST (correlations)",
    reference="Huang et al. 2022, arXiv 2205.10536",
    deviations="the weights of labels and teacher sum to 1; a last batch of one sample counts by its row",
    cost="one forward pass of each teacher",
    needs_labels=False,
    defaults=DistSettings(temperature=4, weight=0.5, beta=2, gamma=2),
    target_fn=teachers_target,
    pull_fn=correlation_pull,
    search_space=MappingProxyType(
        {"temperature": (1, 4), "weight": (0.1, 0.3, 0.5, 0.7), "beta": (1, 2), "gamma": (1, 2)}
    ),
)
