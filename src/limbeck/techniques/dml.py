"""dml: deep mutual learning, in which student and teacher learn from each other.

Reference: Zhang et al. 2018, "Deep Mutual Learning", arXiv 1706.00384, equations 5 and 8.
Deviations from the paper: models take their steps at the same time from the same forward pass, not in
turn, so a step costs one forward pass per model.
Cost: the peer's forward and backward pass in every step.
"""

from limbeck.losses import mutual
from limbeck.techniques.record import MutualTechnique

DML = MutualTechnique(
    name="dml",
    title="Deep mutual learning",
    reference="Zhang et al. 2018, arXiv 1706.00384",
    deviations="models step together from one forward pass each, not in turn",
    cost="the peer's forward and backward pass in every step",
    loss_fn=mutual,
)
