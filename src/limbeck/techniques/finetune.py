"""finetune: the student trains on with its labels and no teacher.

Reference: none. The honest baseline: the same samples, steps and learning rate as every other technique,
so that a gain which continued training also gives is not mistaken for a transfer.
Deviations from the paper: none.
Cost: no extra forward pass.
"""

from torch import Tensor

from limbeck.losses import cross_entropy
from limbeck.techniques.record import FrozenTechnique, Settings


def finetune_loss(
    student_logits: Tensor, target_logits: Tensor | None, labels: Tensor | None, settings: Settings | None
) -> Tensor:
    """Cross-entropy of each sample."""
    del target_logits, settings
    assert labels is not None
    return cross_entropy(student_logits, labels)


FINETUNE = FrozenTechnique(
    name="finetune",
    title="Fine-tuning (no teacher)",
    reference="the baseline of this study",
    deviations="none",
    cost="no extra forward pass",
    needs_labels=True,
    defaults=None,
    target_fn=None,
    loss_fn=finetune_loss,
)
