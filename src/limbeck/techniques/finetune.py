"""finetune: the student trains on with its labels and no teacher.

Reference: none. The honest baseline: the same samples, steps and learning rate as every other technique,
so that a gain which continued training also gives is not mistaken for a transfer.
Deviations from the paper: none.
Cost: no extra forward pass.
"""

from types import MappingProxyType

from limbeck.techniques.record import FrozenTechnique

FINETUNE = FrozenTechnique[None](
    name="finetune",
    title="Fine-tuning (no teacher)",
    reference="the baseline of this study",
    deviations="none",
    cost="no extra forward pass",
    needs_labels=True,
    defaults=None,
    target_fn=None,
    pull_fn=None,
    search_space=MappingProxyType({}),
    min_teachers=0,
)
