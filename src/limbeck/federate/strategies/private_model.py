"""The model that a client alone has, in strategies that share something else."""

from torch import nn

from limbeck.federate.client import AFTER_START, OWN_MODEL, Client
from limbeck.federate.messages import Message

PRIVATE = "private"
"""Name under which a client keeps the model that it alone has."""


def recall_private(client: Client, request: Message) -> nn.Module:
    """The client's private model as it was before the round; at first its own, or the untrained one."""
    kept = client.memory.read(PRIVATE, before=request.round)
    kept = client.memory.read(OWN_MODEL, before=AFTER_START) if kept is None else kept
    return client.build_fn(client.arch) if kept is None else client.make_model(kept)
