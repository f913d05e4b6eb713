"""bi-kd: two live models, and on each sample the one that knows better teaches the other.

Reference: bi-directional distillation, arXiv 2510.22208 (2025).
Deviations from the paper: the side that teaches is detached, so each model learns from its own labels and
from the samples on which the other is better.
Cost: the peer's forward and backward pass in every step.
"""

from collections.abc import Sequence

from torch import Tensor

from limbeck.losses import bidirectional
from limbeck.techniques.record import MutualTechnique


def two_models_loss(list_of_logits: Sequence[Tensor], labels: Tensor) -> list[Tensor]:
    """The losses of the student and of its one peer."""
    first, second = list_of_logits
    return bidirectional(first, second, labels)


BI_KD = MutualTechnique(
    name="bi-kd",
    title="Bi-directional KD",
    reference="arXiv 2510.22208 (2025)",
    deviations="the side that teaches is detached",
    cost="the peer's forward and backward pass in every step",
    loss_fn=two_models_loss,
    max_teachers=1,
)
