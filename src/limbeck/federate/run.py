"""A whole federation: clients introduce themselves, a start is made, rounds are run, all of it kept."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from torch import nn

from limbeck.core.errors import RunError, require
from limbeck.data import Inputs
from limbeck.engine import Training
from limbeck.federate.client import BuildFn
from limbeck.federate.federation import AskFn, Federation, Party
from limbeck.federate.inspection import find_failure, find_unfit_number
from limbeck.federate.messages import Ledger, Message, State
from limbeck.federate.plan import Plan
from limbeck.federate.server import Courier, Standing, begin, require_participants, run_rounds
from limbeck.federate.site import HELLO
from limbeck.federate.starts import Consolidation, Distillation, check_start, get_start
from limbeck.federate.starts.tasks import PRETRAIN
from limbeck.federate.starts.tuning import tune_start
from limbeck.federate.strategies import check_strategy, get_strategy, make_strategy_settings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a federation does.

    Attributes:
        plan: How rounds are run.
        start: How the starting model is made.
        distillation: How the start distils, None for one that does not.
        candidates: Settings of which clients choose the best for the start, none to take `distillation`.
        strategy: How a round goes.
        settings: The strategy's settings that are not its defaults, by name.
        pretrain: How clients without a model of their own train one, None when all bring one.

    Raises:
        InputError: When built with a start, a strategy or settings that do not exist, or with a distilled
            start and no distillation.
    """

    plan: Plan
    start: str = "scratch"
    distillation: Distillation | None = None
    candidates: tuple[Distillation, ...] = ()
    strategy: str = "fedavg"
    settings: Mapping[str, Any] = field(default_factory=dict)
    pretrain: Training | None = None

    def __post_init__(self) -> None:
        get_start(self.start).check_distillation(self.distillation)
        strategy = get_strategy(self.strategy)
        self.make_settings()
        require(
            strategy.has_global_model or self.start == "scratch",
            f"`{self.strategy}`, which shares no model, begins from `scratch`",
            f"start={self.start}",
            "Use `scratch`, or a strategy with a shared model.",
        )

    def make_settings(self) -> Any:
        """All settings of the strategy, as its own record."""
        return make_strategy_settings(get_strategy(self.strategy), self.settings)

    @property
    def needs_models(self) -> bool:
        """Whether every client has to have a trained model of its own."""
        needs_models_fn = get_strategy(self.strategy).needs_models_fn
        return get_start(self.start).needs_models or needs_models_fn(self.make_settings())


@dataclass(frozen=True, kw_only=True)
class Server:
    """What the server has of its own.

    Attributes:
        build_fn: Makes the common untrained model of an architecture.
        validation_fn: Accuracy of a model on the server's validation samples; decides.
        test_fn: Accuracy of a model on the test samples; decides nothing.
        proxy: The unlabelled proxy set, None without one.
        terms: What a client has to know to build its models and inputs, ready for JSON.
    """

    build_fn: BuildFn
    validation_fn: Callable[[nn.Module], float]
    test_fn: Callable[[nn.Module], float]
    proxy: Inputs | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)

    def join(self, plan: Plan, parties: tuple[Party, ...]) -> Federation:
        """The federation of the server and some clients."""
        return Federation(
            plan=plan,
            parties=parties,
            build_fn=self.build_fn,
            validation_fn=self.validation_fn,
            test_fn=self.test_fn,
            proxy=self.proxy,
        )


def federate(
    recipe: Recipe,
    server: Server,
    courier: Courier,
    *,
    num_clients: int,
    ledger: Ledger,
    standing: Standing | None = None,
) -> Iterator[Standing]:
    """Make the starting model, run the rounds and yield where the run stands before and after each.

    Args:
        recipe: What to do.
        server: What the server has.
        courier: Carries the messages.
        num_clients: How many clients there are.
        ledger: Where messages are accounted for.
        standing: Where an earlier process left off; None to begin.

    Raises:
        InputError: When the federation lacks what start or strategy need.
        RunError: When a client cannot do its part before the first round, or too few reply in a round.
    """
    ask, bytes_before = make_ask(courier, ledger), ledger.total_bytes()
    strategy, settings = get_strategy(recipe.strategy), recipe.make_settings()
    if standing is None:
        is_private = recipe.plan.privacy is not None
        parties = meet(ask, num_clients=num_clients, is_private=is_private, terms=server.terms)
    else:
        parties = standing.parties
    federation = server.join(recipe.plan, parties)
    check_strategy(strategy, federation, settings)
    if standing is None:
        check_start(get_start(recipe.start), federation)
    require_participants(federation)
    if standing is None:
        standing = _begin(recipe, federation, ask, ledger, bytes_before=bytes_before)
        yield standing
    yield from run_rounds(federation, standing, courier, strategy=strategy, settings=settings, ledger=ledger)


def _begin(
    recipe: Recipe, federation: Federation, ask: AskFn, ledger: Ledger, *, bytes_before: int
) -> Standing:
    """Where a run stands before its first round, once the start is made and the strategy has prepared."""
    started = time.perf_counter()
    models, chosen = _make_start(recipe, federation, ask)
    prepare_fn = get_strategy(recipe.strategy).prepare_fn
    if prepare_fn is not None:
        prepare_fn(federation, ask, recipe.make_settings())
    return begin(
        federation,
        models,
        chosen=chosen,
        start_bytes=ledger.total_bytes() - bytes_before,
        start_seconds=time.perf_counter() - started,
    )


def _make_start(
    recipe: Recipe, federation: Federation, ask: AskFn
) -> tuple[Mapping[str, State], Distillation | None]:
    """The starting models, and the settings that were chosen where some were tried."""
    start = get_start(recipe.start)
    if recipe.needs_models and recipe.pretrain is not None:
        facts = {"training": recipe.pretrain.to_dict(), "seed": recipe.plan.seed}
        request = Message(task=PRETRAIN, round=0, facts=facts)
        ask({party.index: request for party in federation.parties})
    consolidation = Consolidation(federation=federation, ask=ask, distillation=recipe.distillation)
    if not recipe.candidates:
        return start.make_fn(consolidation), None
    tuned = tune_start(consolidation, start, recipe.candidates)
    return tuned.models, tuned.chosen


@dataclass(frozen=True, kw_only=True)
class _Introduction:
    """What a client says of itself."""

    arch: str
    num_samples: Annotated[int, Field(ge=0)]
    class_counts: list[Annotated[int, Field(ge=0)]] = field(default_factory=list)


def make_ask(courier: Courier, ledger: Ledger) -> AskFn:
    """A function that asks clients before the first round, when each of them has to answer.

    Raises:
        RunError: (the function) When a client does not reply, cannot do what it is asked, or sends what is
            not finite or of another architecture than it has.
    """

    def ask(requests: Mapping[int, Message]) -> Mapping[int, Message]:
        replies = courier.carry(requests, ledger)
        for index, request in requests.items():
            reply = replies.get(index)
            fault = "it did not reply" if reply is None else _find_fault_before_rounds(request, reply)
            if fault is not None:
                raise RunError(
                    f"every client must do its part before the first round, but client {index} did not do "
                    f"`{request.task}`: {fault.rstrip('.')}. Look at that client and run again; "
                    "the start is then made anew."
                )
        return replies

    return ask


def _find_fault_before_rounds(request: Message, reply: Message) -> str | None:
    return find_failure(request, reply) or find_unfit_number(reply)


def meet(ask: AskFn, *, num_clients: int, is_private: bool, terms: Mapping[str, Any]) -> tuple[Party, ...]:
    """Let every client introduce itself.

    Args:
        ask: Asks clients.
        num_clients: How many there are.
        is_private: Whether they keep their class counts to themselves.
        terms: What they have to know; see `Server`.
    """
    facts = {"version": version("limbeck"), "is_private": is_private, "terms": dict(terms)}
    hello = Message(task=HELLO, round=0, facts=facts)
    replies = ask(dict.fromkeys(range(num_clients), hello))
    return tuple(_read_party(index, reply.facts) for index, reply in sorted(replies.items()))


def _read_party(index: int, facts: Mapping[str, Any]) -> Party:
    try:
        said = TypeAdapter(_Introduction).validate_python(dict(facts))
    except ValidationError as error:
        first = error.errors()[0]
        raise RunError(
            f"every client must introduce itself, but client {index} says {'.'.join(map(str, first['loc']))}="
            f"{first['input']!r}: {first['msg']}. Look at that client."
        ) from error
    return Party(
        index=index, arch=said.arch, num_samples=said.num_samples, class_counts=tuple(said.class_counts)
    )
