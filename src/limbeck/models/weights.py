"""Weights into a module: every name and shape must fit, and what does not is listed."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from limbeck.core.errors import InputError, require
from limbeck.models.checkpoints import strip_prefixes

NUM_LISTED = 5
# A counter of batch normalization that checkpoints from before PyTorch 0.4.1 lack; evaluation never reads it.
COUNTER = "num_batches_tracked"


def load_weights(module: nn.Module, state: Mapping[str, Tensor], *, source: object) -> None:
    """Copy weights into a module in place, all of them or none.

    Args:
        module: Any module.
        state: The weights by name; the prefix that all names of the module share may be missing.
        source: What to call them in messages.

    Raises:
        InputError: When names are missing, unexpected or of another shape; missing batch counters are
            tolerated.
    """
    own = module.state_dict()
    state = align_names(state, own)
    missing = [name for name in own if name not in state and not name.endswith(COUNTER)]
    unexpected = [name for name in state if name not in own]
    misshapen = [
        f"{name} ({_shape(state[name])} instead of {_shape(own[name])})"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    parts = (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
    found = "; ".join(f"{len(names)} {what}: {name_some(names)}" for what, names in parts if names)
    require(
        not found,
        f"the weights are those of this {type(module).__name__}, name by name",
        f"{found} in `{source}`",
        "Check the architecture and its settings.",
    )
    try:
        module.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        raise InputError(
            f"The weights of `{source}` must fit a {type(module).__name__}, but it refuses them ({error})."
            " Check the architecture and its settings."
        ) from error


def align_names(state: Mapping[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """`state` with the prefix put back that reading strips, where a module's own names all begin with it.

    A network that holds another as `self.model` has names that all begin with `model.`, as wrapped ones have.
    """
    names = list(own)
    bare = next(iter(strip_prefixes(dict.fromkeys(names))), "")
    prefix = names[0].removesuffix(bare) if names else ""
    if not prefix or any(name.startswith(prefix) for name in state):
        return dict(state)
    return {prefix + name: tensor for name, tensor in state.items()}


def name_some(names: Iterable[str]) -> str:
    """The first five names, and that there are more."""
    listed = list(names)
    more = ", ..." if len(listed) > NUM_LISTED else ""
    return ", ".join(listed[:NUM_LISTED]) + more


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
