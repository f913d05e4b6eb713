"""nkd: normalised distillation, the label's probability and the renormalised others.

Reference: Yang et al. 2023, "From Knowledge Distillation to Self-Knowledge Distillation: A Unified Approach
with Normalized Loss and Customized Soft Labels", arXiv 2303.13005, equation 7.
Deviations from the paper: labels and distillation are weighed with (1 - w) and w; the paper's sum with weight
1 on both is w = 0.5 at twice the learning rate. Several teachers count through the mean of their softened
probabilities.
Cost: one forward pass of each teacher over the transfer set.
"""

from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from limbeck.losses import nkd
from limbeck.techniques.record import FrozenTechnique, check_coefficients, teachers_target


@dataclass(frozen=True, kw_only=True)
class NkdSettings:
    """Settings of NKD.

    Attributes:
        temperature: T > 0, of the classes other than the label's.
        weight: w in [0, 1].
        gamma: Weight of the classes other than the label's, at least 0; of no effect with two classes.

    Raises:
        InputError: When built with values out of range.
    """

    temperature: float
    weight: float
    gamma: float

    def __post_init__(self) -> None:
        check_coefficients(self)


def normalised_pull(
    student_logits: Tensor, target_logits: Tensor, labels: Tensor | None, settings: NkdSettings
) -> Tensor:
    """-p_t[y] log p_s[y] - gamma T^2 sum over c != y of q_t log q_s, of each sample."""
    assert labels is not None
    return nkd(student_logits, target_logits, labels, gamma=settings.gamma, temperature=settings.temperature)


NKD = FrozenTechnique[NkdSettings](
    name="nkd",
    title="Normalised KD",
    reference="Yang et al. 2023, arXiv 2303.13005",
    deviations="the weights of labels and teacher sum to 1",
    cost="one forward pass of each teacher",
    needs_labels=True,
    defaults=NkdSettings(temperature=1, weight=0.5, gamma=1.5),
    target_fn=teachers_target,
    pull_fn=normalised_pull,
    search_space=MappingProxyType(
        {"temperature": (1, 2), "weight": (0.1, 0.3, 0.5, 0.7), "gamma": (0.5, 1, 1.5)}
    ),
)
