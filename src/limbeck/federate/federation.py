"""What the server knows of its clients and has of its own while a federation is at work."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from limbeck.core.errors import require
from limbeck.data import Inputs
from limbeck.federate.client import BuildFn, hash_proxy
from limbeck.federate.messages import Message
from limbeck.federate.plan import Plan

AskFn = Callable[[Mapping[int, Message]], Mapping[int, Message]]
"""Requests by client to replies by client; every one of them, or an error that says who did not and why."""


@dataclass(frozen=True, kw_only=True)
class Party:
    """What the server knows of a client.

    Attributes:
        index: Position among the clients.
        arch: Architecture of its models.
        num_samples: Training samples it has.
        class_counts: Samples of each class, empty when the client keeps them to itself.
    """

    index: int
    arch: str
    num_samples: int
    class_counts: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Federation:
    """What the server has while a federation is at work; none of it changes.

    Attributes:
        plan: How rounds are run.
        parties: The clients, by index.
        build_fn: Makes the common untrained model of an architecture.
        validation_fn: Accuracy of a model on the server's validation samples; decides.
        test_fn: Accuracy of a model on the test samples; decides nothing.
        proxy: The server's unlabelled proxy set, None without one.
    """

    plan: Plan
    parties: tuple[Party, ...]
    build_fn: BuildFn
    validation_fn: Callable[[nn.Module], float]
    test_fn: Callable[[nn.Module], float]
    proxy: Inputs | None = None

    @property
    def num_classes(self) -> int:
        """How many classes there are, from what the clients said of themselves."""
        return len(self.parties[0].class_counts)

    @property
    def archs(self) -> list[str]:
        """The architectures in use, each once, in the order of the clients."""
        return list(dict.fromkeys(party.arch for party in self.parties))

    @cached_property
    def proxy_hash(self) -> str:
        """The fingerprint of the proxy set; see `hash_proxy`."""
        assert self.proxy is not None
        return hash_proxy(self.proxy)

    def require_one_architecture(self, who: str, *, instead: Sequence[str]) -> None:
        """Check that all clients have one architecture.

        Args:
            who: What needs it.
            instead: Names of what does not.

        Raises:
            InputError: When they have several.
        """
        require(
            len(self.archs) == 1,
            f"{who} needs one architecture for all clients",
            ", ".join(self.archs),
            f"Use {', '.join(f'`{name}`' for name in instead)}, or give all clients one.",
        )
