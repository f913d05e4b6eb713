"""The shape of a strategy: what is asked of a client in a round, what it does, what the server makes of it.

A strategy is a record of three functions. None knows which engine carries its messages, and none keeps
anything between rounds but in the server's state and the client's memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

from limbeck.core.errors import require
from limbeck.federate.client import Answer, Client
from limbeck.federate.federation import AskFn, Federation, Party
from limbeck.federate.messages import NOTHING, Message, State
from limbeck.federate.plan import Plan

S = TypeVar("S")

MODEL = "model"
"""The group of a message that holds the weights of the shared model."""


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """The settings of a strategy that has none."""


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """Where a federation stands after a round.

    Attributes:
        round: The round; 0 before the first.
        models: Weights of the shared model by architecture; empty where a strategy shares none.
        memory: What the strategy keeps at the server, by name.
    """

    round: int
    models: Mapping[str, State]
    memory: State = field(default_factory=dict)

    def advance(
        self, *, models: Mapping[str, State] | None = None, memory: State | None = None
    ) -> "ServerState":
        """The state after the next round."""
        return replace(
            self,
            round=self.round + 1,
            models=self.models if models is None else models,
            memory=self.memory if memory is None else memory,
        )


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A good answer of a client.

    Attributes:
        party: Whose.
        request: What it was asked.
        message: What it answered.
    """

    party: Party
    request: Message
    message: Message


Shares = Literal["model", "logits"]
RequestFn = Callable[[Federation, ServerState, Party, Any], Message]
LocalFn = Callable[[Client, Message, Any], Answer]
CombineFn = Callable[[Federation, ServerState, Sequence[Reply], Any], ServerState]
Shapes = Mapping[str, tuple[int, ...]]


def shapes_of_request(request: Message) -> Shapes:
    """The names and shapes of what was sent, which most strategies get back."""
    return {name: tuple(tensor.shape) for name, tensor in request.tensors.items()}


def shapes_of_model(request: Message) -> Shapes:
    """The names and shapes of the shared model, where more than that was sent."""
    shapes = shapes_of_request(request)
    return {name: shape for name, shape in shapes.items() if name.startswith(f"{MODEL}/")}


@dataclass(frozen=True, kw_only=True)
class Strategy(Generic[S]):
    """A way to run federated learning.

    Attributes:
        name: Name in a spec and in results; also the task of its messages.
        title: Name for people.
        summary: What it does, in one line.
        reference: Paper and place.
        deviations: How this differs from the paper.
        cost: What a round costs beyond federated averaging.
        defaults: Settings when nothing is said; a frozen record that checks its values.
        request_fn: (federation, state before the round, client, settings) to the message that client gets.
        local_fn: (client, request, settings) to its answer.
        combine_fn: (federation, state before the round, good replies, settings) to the state after it.
        prepare_fn: (federation, a function that asks clients, settings); what has to happen after the start
            and before the first round, None for nothing.
        shapes_fn: From a request to the names and shapes of the tensors that have to come back.
        fault_fn: Why a reply with the right tensors is still of no use, None when it is good.
        shares: Whether clients send a `model` or `logits`.
        has_global_model: Whether the server has a model after a round.
        mixes_architectures: Whether clients may have different architectures.
        server_needs_proxy: Whether the server needs the unlabelled proxy set.
        clients_need_proxy: Whether every client does.
        needs_models_fn: From the settings to whether every client has to have a trained model of its own.
        requests_differ: Whether clients of one architecture are sent different messages.
        takes_privacy: Whether all that leaves a client can be clipped and noised.
        takes_augmentation: Whether clients may augment their samples.
        takes_aggregation: Whether `median` and `trimmed-mean` can stand for the mean.
        check_fn: (federation, settings); raises `InputError` when they do not fit each other.
    """

    name: str
    title: str
    summary: str
    reference: str
    deviations: str
    cost: str
    defaults: S
    request_fn: RequestFn
    local_fn: LocalFn
    combine_fn: CombineFn
    prepare_fn: Callable[[Federation, AskFn, Any], None] | None = None
    shapes_fn: Callable[[Message], Shapes] = shapes_of_request
    fault_fn: Callable[[Message], str | None] = lambda _: None
    shares: Shares = "model"
    has_global_model: bool = True
    mixes_architectures: bool = False
    server_needs_proxy: bool = False
    clients_need_proxy: bool = False
    needs_models_fn: Callable[[S], bool] = lambda _: False
    requests_differ: bool = False
    takes_privacy: bool = True
    takes_augmentation: bool = True
    takes_aggregation: bool = True
    check_fn: Callable[[Federation, S], None] = lambda _federation, _settings: None

    def check(self, federation: Federation, settings: S) -> None:
        """Check that a federation has what the strategy needs, but for architectures.

        Args:
            federation: What the server has.
            settings: The strategy's own.

        Raises:
            InputError: When it has not.
        """
        require(
            federation.proxy is not None or not (self.server_needs_proxy or self.clients_need_proxy),
            f"`{self.name}` needs an unlabelled proxy set",
            "none",
            "Set `data.proxy_samples`.",
        )
        require(
            federation.plan.privacy is None or self.shares == "model",
            "`privacy` clips and noises model updates",
            f"the strategy `{self.name}`, which shares logits",
            "Leave `privacy` out, or use `fedavg`.",
        )
        self._check_clients_work(federation.plan)
        require(
            self.takes_aggregation or federation.plan.aggregation == "mean",
            f"`{self.name}` adds up what clients send, so `aggregation` is `mean`",
            f"aggregation={federation.plan.aggregation}",
            "Leave `aggregation` out, or use `fedavg`.",
        )
        self.check_fn(federation, settings)

    def _check_clients_work(self, plan: Plan) -> None:
        """Check that clients can protect and augment as the plan asks."""
        require(
            self.takes_privacy or plan.privacy is None,
            f"all that a client of `{self.name}` sends can be clipped and noised",
            f"`privacy`, with `{self.name}`, which sends more than an update",
            "Leave `privacy` out, or use `fedavg`.",
        )
        require(
            self.takes_augmentation or plan.local.augmentation == "none",
            f"`{self.name}` asks a model about every sample once a round, so samples stay as they are",
            f"local.augmentation={plan.local.augmentation}",
            "Set it to `none`, or use `fedavg` or `fedprox`.",
        )


def local_facts(federation: Federation, state: ServerState) -> dict[str, Any]:
    """What every request of a round says: the client's training, the seed, privacy and logit format."""
    plan = federation.plan
    return {
        "training": plan.local_in(state.round + 1).to_dict(),
        "seed": plan.seed,
        "privacy": None if plan.privacy is None else vars(plan.privacy),
        "logit_format": plan.logit_format,
    }


def make_request(
    strategy: str,
    federation: Federation,
    state: ServerState,
    *,
    tensors: State,
    facts: Mapping[str, Any] = NOTHING,
) -> Message:
    """The request of a round."""
    return Message(
        task=strategy,
        round=state.round + 1,
        tensors=tensors,
        facts={**local_facts(federation, state), **facts},
    )
