"""kd-coverage: a teacher counts for the classes it was trained on, and for no other.

Reference: none that is exactly this; the idea is that of partial-label ensembles, such as the class-wise
averaging of FD, Jeong et al. 2018, arXiv 1811.11479.
Deviations from the paper: not one paper's method. The probability of a class is the mean over the teachers
that know it, and the row is scaled to sum to 1; a class that no teacher knows is judged by all.
Cost: one forward pass of each teacher over the transfer set.
"""

from limbeck.losses import coverage_mean
from limbeck.techniques.record import FrozenTechnique, Outputs, Settings, Target, pull_to_target


def covering_target(outputs: Outputs, settings: Settings) -> Target:
    """Per class, the mean of the softened probabilities of the teachers that know it."""
    logits = coverage_mean(outputs.teacher_logits, outputs.known_classes, temperature=settings.temperature)
    return Target(logits=logits)


KD_COVERAGE = FrozenTechnique[Settings](
    name="kd-coverage",
    title="KD, weighted by coverage",
    reference="class-wise averaging as in Jeong et al. 2018, arXiv 1811.11479",
    deviations="not one paper's method; see the card",
    cost="one forward pass of each teacher",
    needs_labels=False,
    defaults=Settings(temperature=1, weight=0.5),
    target_fn=covering_target,
    pull_fn=pull_to_target,
)
