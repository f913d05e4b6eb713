"""dp-kd: data-partitioning distillation, which keeps what the student already knows better.

Reference: Roth et al. 2023, "Fantastic Gains and Where to Find Them", arXiv 2310.17653, section 4
(KL-Dist + DP). Per sample the target is the teacher where it is the better one, else a frozen copy of the
student: judged by the label's probability (`dp-kd`) or by the largest one (`dp-kd-unsupervised`).
Deviations from the paper: none. Several teachers are its parallel variant.
Cost: one forward pass of each teacher and one of the initial student over the transfer set.
"""

from limbeck.losses import select_targets
from limbeck.techniques.record import FrozenTechnique, Outputs, Settings, Target, pull_to_target


def supervised_target(outputs: Outputs, settings: Settings | None) -> Target:
    """The row of the model, teacher or initial student, that gives the label most probability."""
    del settings
    assert outputs.labels is not None
    logits, from_teacher = select_targets(outputs.teacher_logits, outputs.initial_logits, outputs.labels)
    return Target(logits=logits, from_teacher=from_teacher)


def unsupervised_target(outputs: Outputs, settings: Settings | None) -> Target:
    """The row of the most confident model, teacher or initial student."""
    del settings
    logits, from_teacher = select_targets(outputs.teacher_logits, outputs.initial_logits)
    return Target(logits=logits, from_teacher=from_teacher)


DP_KD = FrozenTechnique(
    name="dp-kd",
    title="Data-partitioning KD, supervised",
    reference="Roth et al. 2023, arXiv 2310.17653",
    deviations="none",
    cost="one forward pass of each teacher and one of the initial student",
    needs_labels=True,
    defaults=Settings(temperature=1, weight=1),
    target_fn=supervised_target,
    loss_fn=pull_to_target,
)

DP_KD_UNSUPERVISED = FrozenTechnique(
    name="dp-kd-unsupervised",
    title="Data-partitioning KD, unsupervised",
    reference="Roth et al. 2023, arXiv 2310.17653",
    deviations="none",
    cost="one forward pass of each teacher and one of the initial student",
    needs_labels=False,
    defaults=Settings(temperature=1, weight=1),
    target_fn=unsupervised_target,
    loss_fn=pull_to_target,
)
