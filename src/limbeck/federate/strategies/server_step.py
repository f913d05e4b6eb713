"""What strategies with an optimiser at the server have in common: its gradient is how the aggregate moved.

Only what training moves by gradients is stepped. Buffers, such as the statistics and counters of batch
normalisation, are measured and not learnt: they become the aggregate's.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from limbeck.federate.federation import Federation
from limbeck.federate.strategies.averaging import average_replies
from limbeck.federate.strategies.record import Reply, ServerState

Moments = Mapping[str, Tensor]
"""What the server's optimiser remembers of a weight, by the name of the moment."""

StepFn = Callable[[Tensor, Moments], tuple[Tensor, Moments]]
"""(aggregate - x, moments before) to (the step that is added to x, moments after), all float64."""


def step_models(
    federation: Federation,
    state: ServerState,
    replies: Sequence[Reply],
    *,
    first_moments: Mapping[str, float],
    step_fn: StepFn,
) -> ServerState:
    """The state whose weights are the old ones and a step, and whose buffers are the aggregates.

    Moments lie in the state's memory under `<moment>/<architecture>/<weight>`, in float64. Law: where the
    step is the whole change, the models are those of `combine_mean`, to float64's rounding.

    Args:
        federation: What the server has.
        state: Before the round.
        replies: The good ones.
        first_moments: The value of each moment before the first round.
        step_fn: The optimiser's rule for one weight.
    """
    models = average_replies(federation, state, replies)
    memory: dict[str, Tensor] = {}
    for arch, average in models.items():
        before = state.models[arch]
        for name in _name_weights(federation, arch):
            old = before[name].to(average[name].device, torch.float64)
            change = average[name].to(torch.float64) - old
            keys = {moment: f"{moment}/{arch}/{name}" for moment in first_moments}
            moments = {
                moment: _recall(state, key, like=change, first=first_moments[moment])
                for moment, key in keys.items()
            }
            step, moments = step_fn(change, moments)
            average[name] = (old + step).to(average[name].dtype)
            memory |= {key: moments[moment] for moment, key in keys.items()}
    return state.advance(models=models, memory=memory)


def _name_weights(federation: Federation, arch: str) -> list[str]:
    """What gradients move, under all names of the state: tied weights have several."""
    model = federation.build_fn(arch)
    return [name for name, _ in model.named_parameters(remove_duplicate=False)]


def _recall(state: ServerState, key: str, *, like: Tensor, first: float) -> Tensor:
    kept = state.memory.get(key)
    return torch.full_like(like, first) if kept is None else kept.to(like.device)
