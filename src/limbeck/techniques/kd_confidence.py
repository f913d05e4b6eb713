"""kd-confidence: on each sample, the teachers that give the label more probability weigh more.

Reference: Zhang et al. 2022, "Confidence-Aware Multi-Teacher Knowledge Distillation" (CA-MKD), arXiv
2201.00007, equations 3 and 4.
Deviations from the paper: without the term on intermediate features, which needs architectures that match.
The weighted sum of the divergences is taken as the divergence from the weighted mean of the teachers'
probabilities: the two differ by a constant, and their gradients are equal. One teacher weighs 1.
Cost: one forward pass of each teacher over the transfer set.
"""

from limbeck.losses import teacher_weights, weighted_probabilities
from limbeck.techniques.record import FrozenTechnique, Outputs, Settings, Target, pull_to_target


def confident_target(outputs: Outputs, settings: Settings) -> Target:
    """The mean of the teachers' softened probabilities, weighted on each sample by their cross-entropy."""
    teachers = outputs.teacher_logits
    if len(teachers) == 1:
        return Target(logits=teachers[0])
    assert outputs.labels is not None
    weights = teacher_weights(list(teachers), outputs.labels)
    return Target(logits=weighted_probabilities(teachers, weights, temperature=settings.temperature))


KD_CONFIDENCE = FrozenTechnique[Settings](
    name="kd-confidence",
    title="KD, weighted by confidence",
    reference="Zhang et al. 2022, arXiv 2201.00007",
    deviations="without the term on features",
    cost="one forward pass of each teacher",
    needs_labels=True,
    defaults=Settings(temperature=1, weight=0.5),
    target_fn=confident_target,
    pull_fn=pull_to_target,
)
