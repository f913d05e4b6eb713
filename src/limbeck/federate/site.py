"""What a client does about a message, in either engine."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import MappingProxyType

from limbeck.core.errors import InputError, RunError, require
from limbeck.federate.client import Answer, Client
from limbeck.federate.messages import FAILED, Message, State
from limbeck.federate.starts.tasks import ENSEMBLE, START_TASKS
from limbeck.federate.strategies import STRATEGIES, make_strategy_settings

HELLO = "hello"


def reply_to(client: Client, request: Message) -> tuple[Message, Mapping[str, State]]:
    """The client's reply to a request, and what it has to remember of it.

    A client that cannot do what is asked says why: its reply has the task `failed`.
    """
    try:
        answer = _work(client, request)
    except (InputError, RunError) as error:
        return Message(task=FAILED, round=request.round, facts={"reason": str(error)}), {}
    return answer.as_reply(request), answer.kept


def remember(client: Client, kept: Mapping[str, State], *, round_number: int) -> None:
    """Write down what a client has to remember of a round."""
    for name, state in kept.items():
        client.memory.write(name, state, round_number=round_number)


def _work(client: Client, request: Message) -> Answer:
    if request.task in TASKS:
        return TASKS[request.task](client, request)
    if request.task not in STRATEGIES:
        raise InputError(
            f"this client does not know the task `{request.task}`. Install the server's version of limbeck."
        )
    strategy = STRATEGIES[request.task]
    return strategy.local_fn(client, request, make_strategy_settings(strategy, request.facts["settings"]))


def _introduce(client: Client, request: Message) -> Answer:
    """Say what the server has to know: architecture, samples and, unless it is private, samples per class.

    Raises:
        InputError: When server and client run different versions.
    """
    theirs, ours = request.facts["version"], version("limbeck")
    require(
        theirs == ours,
        "server and client run the same version of limbeck",
        f"{theirs} at the server, {ours} at client {client.index}",
        "Install the same version at both.",
    )
    facts = {"arch": client.arch, "num_samples": len(client)}
    if not request.facts["is_private"]:
        facts["class_counts"] = client.class_counts
    # A run that begins has gathered nothing: what an interrupted start left would spare it messages.
    return Answer(facts=facts, kept={ENSEMBLE: {}})


TASKS: Mapping[str, Callable[[Client, Message], Answer]] = MappingProxyType(
    {HELLO: _introduce, **START_TASKS}
)
