"""dp-kd: data-partitioning distillation, which keeps what the student already knows better.

Reference: Roth et al. 2023, "Fantastic Gains and Where to Find Them", arXiv 2310.17653, section 4
(KL-Dist + DP). Per sample the target is the teacher where it is the better one, else a frozen copy of the
student: judged by the label's probability (`dp-kd`) or by the largest one (`dp-kd-unsupervised`).
Deviations from the paper: none.
Several teachers, as in the paper's section 5: at once, the best row of all (`dp-kd`, parallel); one after
another (`dp-kd-sequential`); or apart, the students' weights averaged (`dp-kd-soup`).
Cost: one forward pass of each teacher and one of the initial student over the transfer set;
`dp-kd-sequential` and `dp-kd-soup` train once per teacher.
"""

from limbeck.losses import select_targets
from limbeck.techniques.record import (
    ComposedTechnique,
    FrozenTechnique,
    Outputs,
    Settings,
    Target,
    pull_to_target,
)


def supervised_target(outputs: Outputs, settings: Settings) -> Target:
    """The row of the model, teacher or initial student, that gives the label most probability."""
    del settings
    assert outputs.labels is not None
    logits, from_teacher = select_targets(outputs.teacher_logits, outputs.initial_logits, outputs.labels)
    return Target(logits=logits, from_teacher=from_teacher)


def unsupervised_target(outputs: Outputs, settings: Settings) -> Target:
    """The row of the most confident model, teacher or initial student."""
    del settings
    logits, from_teacher = select_targets(outputs.teacher_logits, outputs.initial_logits)
    return Target(logits=logits, from_teacher=from_teacher)


DP_KD = FrozenTechnique[Settings](
    name="dp-kd",
    title="Data-partitioning KD, supervised",
    reference="Roth et al. 2023, arXiv 2310.17653",
    deviations="none",
    cost="one forward pass of each teacher and one of the initial student",
    needs_labels=True,
    defaults=Settings(temperature=1, weight=1),
    target_fn=supervised_target,
    pull_fn=pull_to_target,
)

DP_KD_UNSUPERVISED = FrozenTechnique[Settings](
    name="dp-kd-unsupervised",
    title="Data-partitioning KD, unsupervised",
    reference="Roth et al. 2023, arXiv 2310.17653",
    deviations="none",
    cost="one forward pass of each teacher and one of the initial student",
    needs_labels=False,
    defaults=Settings(temperature=1, weight=1),
    target_fn=unsupervised_target,
    pull_fn=pull_to_target,
)

DP_KD_SEQUENTIAL = ComposedTechnique(
    name="dp-kd-sequential",
    title="Data-partitioning KD, one teacher after another",
    reference="Roth et al. 2023, arXiv 2310.17653",
    deviations="none",
    cost="the training, one forward pass of the teacher and one of the student, per teacher",
    step=DP_KD,
    order="sequence",
)

DP_KD_SOUP = ComposedTechnique(
    name="dp-kd-soup",
    title="Data-partitioning KD, average of one student per teacher",
    reference="Roth et al. 2023, arXiv 2310.17653",
    deviations="none",
    cost="the training and one forward pass of the teacher, per teacher, and one of the initial student",
    step=DP_KD,
    order="soup",
)
