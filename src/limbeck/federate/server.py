"""The server's side: ask clients, look at their replies, combine them, measure, keep, and go on.

The same code runs over the simulation and over Flower; a `Courier` carries the messages.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

from limbeck.core.errors import RunError, require
from limbeck.core.seeds import numpy_rng
from limbeck.federate.client import fill
from limbeck.federate.federation import Federation, Party
from limbeck.federate.inspection import find_fault
from limbeck.federate.messages import Ledger, Message, State
from limbeck.federate.server_distillation import at_server
from limbeck.federate.starts.record import Distillation
from limbeck.federate.strategies import check_strategy
from limbeck.federate.strategies.record import Reply, ServerState, Strategy

# An error names so many clients that were of no use, and counts the others.
MOST_REASONS = 5


class Courier(Protocol):
    """What carries messages between the server and its clients."""

    def carry(self, requests: Mapping[int, Message], ledger: Ledger) -> Mapping[int, Message]:
        """Send each client its request and bring its reply; every message is put into the ledger.

        A client that does not reply in time is missing.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Round:
    """The federation after a communication round.

    Attributes:
        number: 0 is the starting model before any round.
        accuracy: Of the global model on the test samples, in [0, 1], the mean over architectures; of a
            strategy without a global model the mean over the clients' own held-out samples.
        validation_accuracy: The same on the server's validation samples.
        bytes_sent: Bytes of all messages of the rounds so far, without those of the start.
        seconds: Time spent in the rounds so far, without measuring.
        participants: Clients whose replies counted.
        rejected: Clients whose replies did not, and why.
        missing: Clients that did not reply.
        client_accuracies: By client, on its own held-out samples, what it received in this round; of a
            strategy without a global model, its own model after the round.
    """

    number: int
    accuracy: float
    validation_accuracy: float
    bytes_sent: int
    seconds: float
    participants: tuple[int, ...] = ()
    rejected: Mapping[int, str] = field(default_factory=dict)
    missing: tuple[int, ...] = ()
    client_accuracies: Mapping[int, float] = field(default_factory=dict)

    @property
    def client_accuracy(self) -> float | None:
        """Mean of the clients' accuracies, None for none."""
        return statistics.fmean(self.client_accuracies.values()) if self.client_accuracies else None

    @property
    def client_spread(self) -> float | None:
        """Standard deviation of the clients' accuracies, None for fewer than two."""
        values = list(self.client_accuracies.values())
        return statistics.stdev(values) if len(values) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Everything a run has come to after a round; going on from it gives what going on at once would have.

    Attributes:
        parties: The clients, as they introduced themselves.
        state: The server's state.
        history: The rounds so far.
        best_round: The round with the highest validation accuracy, the first of equals.
        best_models: The shared models after it, by architecture.
        start_bytes: Bytes of the messages that made the starting model.
        start_seconds: Time that took.
        start_settings: Temperature and weight that clients chose for the start, empty where none were tried.
    """

    parties: tuple[Party, ...]
    state: ServerState
    history: tuple[Round, ...]
    best_round: int
    best_models: Mapping[str, State]
    start_bytes: int = 0
    start_seconds: float = 0.0
    start_settings: Mapping[str, float] = field(default_factory=dict)


def begin(
    federation: Federation,
    models: Mapping[str, State],
    *,
    start_bytes: int,
    start_seconds: float,
    chosen: Distillation | None = None,
) -> Standing:
    """Where a run stands before its first round.

    Args:
        federation: What the server has.
        models: The starting model of each architecture.
        start_bytes: What making them has sent.
        start_seconds: How long it took.
        chosen: The settings that clients chose for the start, None where none were tried.
    """
    state = ServerState(round=0, models=models)
    accuracy, validation_accuracy = _measure(federation, models)
    first = Round(
        number=0, accuracy=accuracy, validation_accuracy=validation_accuracy, bytes_sent=0, seconds=0.0
    )
    return Standing(
        parties=federation.parties,
        state=state,
        history=(first,),
        best_round=0,
        best_models=models,
        start_bytes=start_bytes,
        start_seconds=start_seconds,
        start_settings={} if chosen is None else {"temperature": chosen.temperature, "weight": chosen.weight},
    )


def run_rounds(
    federation: Federation,
    standing: Standing,
    courier: Courier,
    *,
    strategy: Strategy[Any],
    settings: Any,
    ledger: Ledger,
) -> Iterator[Standing]:
    """Run the rounds that are left and yield where the run stands after each.

    Args:
        federation: What the server has.
        standing: Where the run stands.
        courier: Carries the messages.
        strategy: How a round goes.
        settings: The strategy's own.
        ledger: Where messages are accounted for.

    Raises:
        InputError: When the federation lacks what the strategy needs, or fewer clients are asked than have to
            reply.
        RunError: When a round has fewer good replies than `min_replies`.
    """
    check_strategy(strategy, federation, settings)
    require_participants(federation)
    while standing.state.round < federation.plan.rounds:
        standing = _run_round(
            federation, standing, courier, strategy=strategy, settings=settings, ledger=ledger
        )
        yield standing


def choose_participants(federation: Federation, round_number: int) -> list[Party]:
    """The clients asked in a round, by index."""
    parties, plan = federation.parties, federation.plan
    wanted = max(1, round(plan.participation * len(parties)))
    if wanted == len(parties):
        return list(parties)
    rng = numpy_rng(plan.seed, "participants", round_number)
    return [parties[place] for place in sorted(rng.choice(len(parties), wanted, replace=False))]


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """What came back in a round: good replies in the order of the clients, bad ones with reasons, none."""

    replies: tuple[Reply, ...]
    rejected: Mapping[int, str]
    missing: tuple[int, ...]

    @property
    def accuracies(self) -> dict[int, float]:
        """By client, what it measured on its own held-out samples."""
        told = {reply.party.index: reply.message.facts.get("accuracy") for reply in self.replies}
        return {index: accuracy for index, accuracy in told.items() if accuracy is not None}


def _run_round(
    federation: Federation,
    standing: Standing,
    courier: Courier,
    *,
    strategy: Strategy[Any],
    settings: Any,
    ledger: Ledger,
) -> Standing:
    started, state = time.perf_counter(), standing.state
    parties = choose_participants(federation, state.round + 1)
    requests = _make_requests(federation, state, parties, strategy=strategy, settings=settings)
    heard = _hear(federation, parties, requests, courier.carry(requests, ledger), strategy)
    _require_replies(federation, heard, number=state.round + 1)
    state = strategy.combine_fn(federation, state, heard.replies, settings)
    seconds = time.perf_counter() - started
    return _enter(federation, standing, state, heard, strategy=strategy, seconds=seconds, ledger=ledger)


def _hear(
    federation: Federation,
    parties: Sequence[Party],
    requests: Mapping[int, Message],
    carried: Mapping[int, Message],
    strategy: Strategy[Any],
) -> _Heard:
    """The replies that came back, each looked at."""
    replies: list[Reply] = []
    rejected: dict[int, str] = {}
    for party in parties:
        if party.index not in carried:
            continue
        request, message = requests[party.index], carried[party.index]
        fault = find_fault(request, message, strategy, change_limit=federation.plan.change_limit)
        if fault is None:
            replies.append(Reply(party=party, request=request, message=message))
        else:
            rejected[party.index] = fault
    missing = tuple(party.index for party in parties if party.index not in carried)
    return _Heard(replies=tuple(replies), rejected=rejected, missing=missing)


def _enter(
    federation: Federation,
    standing: Standing,
    state: ServerState,
    heard: _Heard,
    *,
    strategy: Strategy[Any],
    seconds: float,
    ledger: Ledger,
) -> Standing:
    """Where the run stands after a round that took some seconds."""
    last, own = standing.history[-1], heard.accuracies
    if strategy.has_global_model:
        accuracy, validation_accuracy = _measure(federation, state.models)
    else:
        accuracy = validation_accuracy = statistics.fmean(own.values()) if own else 0.0
    this = Round(
        number=state.round,
        accuracy=accuracy,
        validation_accuracy=validation_accuracy,
        bytes_sent=last.bytes_sent + ledger.total_bytes(round_number=state.round),
        seconds=last.seconds + seconds,
        participants=tuple(reply.party.index for reply in heard.replies),
        rejected=heard.rejected,
        missing=heard.missing,
        client_accuracies=own,
    )
    is_best = validation_accuracy > standing.history[standing.best_round].validation_accuracy
    return replace(
        standing,
        state=state,
        history=(*standing.history, this),
        best_round=state.round if is_best else standing.best_round,
        best_models=state.models if is_best else standing.best_models,
    )


def _make_requests(
    federation: Federation,
    state: ServerState,
    parties: Sequence[Party],
    *,
    strategy: Strategy[Any],
    settings: Any,
) -> dict[int, Message]:
    """The request of each client; clients that are sent the same share one object."""

    def make(party: Party) -> Message:
        request = strategy.request_fn(federation, state, party, settings)
        return replace(request, facts={**request.facts, "settings": asdict(settings)})

    if strategy.requests_differ:
        return {party.index: make(party) for party in parties}
    first_of = {party.arch: party for party in reversed(parties)}
    make_once: Callable[[str], Message] = lru_cache(None)(lambda arch: make(first_of[arch]))
    return {party.index: make_once(party.arch) for party in parties}


def require_participants(federation: Federation) -> None:
    """Check that as many clients are asked in a round as have to reply.

    Raises:
        InputError: When fewer are.
    """
    asked = len(choose_participants(federation, 1))
    require(
        federation.plan.min_replies <= asked,
        "min_replies <= clients asked in a round",
        f"min_replies={federation.plan.min_replies}, {asked} asked",
        "Lower it, or raise `participation`.",
    )


def _require_replies(federation: Federation, heard: _Heard, *, number: int) -> None:
    num_good, wanted = len(heard.replies), federation.plan.min_replies
    if num_good >= wanted:
        return
    reasons = [f"client {index}: {reason}" for index, reason in heard.rejected.items()]
    reasons += [f"client {index} did not reply" for index in heard.missing]
    more = len(reasons) - MOST_REASONS
    listed = "; ".join([*reasons[:MOST_REASONS], *([f"and {more} more"] if more > 0 else [])])
    raise RunError(
        f"`min_replies` good replies must come back in a round, but round {number} got {num_good} of "
        f"{wanted} ({listed}). The rounds before it are kept; go on when enough clients are there, or lower "
        "`min_replies`."
    )


def _measure(federation: Federation, models: Mapping[str, State]) -> tuple[float, float]:
    """Accuracy on test and validation samples, the mean over architectures."""
    with at_server():
        built = [fill(federation.build_fn(arch), state) for arch, state in models.items()]
        test = statistics.fmean(federation.test_fn(model) for model in built)
        return test, statistics.fmean(federation.validation_fn(model) for model in built)
