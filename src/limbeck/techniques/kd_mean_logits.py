"""kd-mean-logits: several teachers count through the mean of their logits.

Reference: the target of FedDF's ensemble, Lin et al. 2020, "Ensemble Distillation for Robust Model Fusion in
Federated Learning", arXiv 2006.07242, section 3. The mean of logits is the geometric mean of the teachers'
probabilities: a class counts as much as the teacher that likes it least allows, whereas `kd` takes their
arithmetic mean.
Deviations from the paper: the labels of the transfer set count too where w < 1.
Cost: one forward pass of each teacher over the transfer set.
"""

from limbeck.losses import mean_logits
from limbeck.techniques.record import FrozenTechnique, Outputs, Settings, Target, pull_to_target


def mean_target(outputs: Outputs, settings: Settings) -> Target:
    """The mean of the teachers' logits; the temperature plays no part in it."""
    del settings
    return Target(logits=mean_logits(outputs.teacher_logits))


KD_MEAN_LOGITS = FrozenTechnique[Settings](
    name="kd-mean-logits",
    title="KD, mean of logits",
    reference="Lin et al. 2020, arXiv 2006.07242",
    deviations="the labels of the transfer set count too where w < 1",
    cost="one forward pass of each teacher",
    needs_labels=False,
    defaults=Settings(temperature=1, weight=0.5),
    target_fn=mean_target,
    pull_fn=pull_to_target,
)
