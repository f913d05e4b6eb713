"""self-kd: the student's own frozen copy from before is its teacher.

Reference: Furlanello et al. 2018, "Born Again Neural Networks", arXiv 1805.04770, section 3; as a guard
against forgetting: Li, Hoiem 2016, "Learning without Forgetting", arXiv 1606.09282.
Deviations from the paper: the student goes on from its weights instead of starting anew. Teachers, if any are
given, are not asked.
Cost: one forward pass of the initial student over the transfer set.
"""

from limbeck.techniques.record import FrozenTechnique, Outputs, Settings, Target, pull_to_target


def own_target(outputs: Outputs, settings: Settings) -> Target:
    """The initial student's logits."""
    del settings
    return Target(logits=outputs.initial_logits)


SELF_KD = FrozenTechnique[Settings](
    name="self-kd",
    title="Self-distillation",
    reference="Furlanello et al. 2018, arXiv 1805.04770",
    deviations="the student goes on from its weights instead of starting anew",
    cost="one forward pass of the initial student",
    needs_labels=False,
    defaults=Settings(temperature=1, weight=0.5),
    target_fn=own_target,
    pull_fn=pull_to_target,
    min_teachers=0,
)
