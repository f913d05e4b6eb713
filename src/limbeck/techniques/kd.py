"""kd: knowledge distillation from a frozen teacher's softened output.

Reference: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531,
section 2. "Vanilla" are the defaults T = 1 and w = 0.5; "tuned" is the best setting of a grid.
Deviations from the paper: the weights of the two terms sum to 1; several teachers count through the mean
of their softened probabilities.
Cost: one forward pass of each teacher over the transfer set.
"""

from limbeck.techniques.record import FrozenTechnique, Settings, pull_to_target, teachers_target

KD = FrozenTechnique[Settings](
    name="kd",
    title="Knowledge distillation",
    reference="Hinton et al. 2015, arXiv 1503.02531",
    deviations="the weights of labels and teacher sum to 1",
    cost="one forward pass of each teacher",
    needs_labels=False,
    defaults=Settings(temperature=1, weight=0.5),
    target_fn=teachers_target,
    pull_fn=pull_to_target,
)
