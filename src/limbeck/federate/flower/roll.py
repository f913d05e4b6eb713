"""Who takes part: every node says which site it is, and every site has its place among the clients."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from limbeck.core.errors import InputError, RunError, count, enumerate_words, require
from limbeck.federate.flower.exchange import POLL_SECONDS, Post, describe_failure

ROLL = "limbeck.roll"
OURS = version("limbeck")
NO_CLIENT = -1
ROLL_SECONDS = 120.0
# Sites try to reach a SuperLink that was started anew every 20 s.
LATE_SECONDS = 45.0


@dataclass(frozen=True, kw_only=True)
class Presence:
    """What a node says of itself before anything else.

    Attributes:
        name: Name of its site.
        client: Which client of the spec's split it is, `NO_CLIENT` for a site with data of its own.
        version: Of the limbeck it runs.
        fault: Why it cannot take part, empty when it can.
    """

    name: str
    client: int = NO_CLIENT
    version: str = OURS
    fault: str = ""

    def to_record(self) -> RecordDict:
        """As Flower carries it."""
        return RecordDict({ROLL: ConfigRecord(dict(vars(self)))})


@dataclass(frozen=True, kw_only=True)
class Roll:
    """The sites that are there.

    Attributes:
        places: Name of the site of each client, by index; empty before all are known.
        nodes: Flower's node of each site, by name.
        strangers: Nodes that have been asked and do not take part.
    """

    places: Sequence[str] = ()
    nodes: Mapping[str, int] = field(default_factory=dict)
    strangers: frozenset[int] = frozenset()

    @property
    def known(self) -> set[int]:
        """Nodes that need not be asked again."""
        return {*self.nodes.values(), *self.strangers}

    def find_nodes(self, clients: Iterable[int], online: Collection[int]) -> dict[int, int]:
        """The node of each client that is online, by index."""
        found = {client: self.nodes.get(self.places[client]) for client in clients}
        return {client: node for client, node in found.items() if node is not None and node in online}


@dataclass
class RollCall:
    """Asks nodes who they are. A node that is silent is waited for once: a later call hears a later answer.

    Attributes:
        grid: Flower's connection to the nodes.
        say: Told of what happens.
    """

    grid: Grid
    say: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self._post = Post(self.grid)
        self._silent: set[int] = set()

    def ask(self, nodes: Collection[int], *, seconds: float) -> dict[int, Presence]:
        """What each node says of itself; one that does not reply in time is missing.

        Args:
            nodes: Whom to ask.
            seconds: How long to wait, at most `ROLL_SECONDS`.
        """
        seconds = min(seconds, ROLL_SECONDS)
        under_way = set(self._post.waiting.values())
        record = RecordDict({ROLL: ConfigRecord({"version": OURS})})
        records = ((node, record) for node in nodes if node not in under_way)
        self._post.send(records, message_type="query", group="roll", seconds=seconds)
        replies = self._post.collect(set(nodes) - self._silent, seconds=seconds)
        self._silent = set(nodes) - replies.keys()
        return {node: _read_presence(node, reply) for node, reply in replies.items() if node in nodes}


def _read_presence(node: int, reply: Message) -> Presence:
    if reply.has_error():
        return Presence(name=f"node {node}", fault=describe_failure(reply))
    try:
        return Presence(**reply.content.config_records[ROLL])  # pyright: ignore[reportArgumentType]
    except (KeyError, TypeError) as error:
        return Presence(
            name=f"node {node}", fault=f"its app is not limbeck's or of another version ({error})"
        )


def find_fault(presence: Presence) -> str | None:
    """Why a site cannot take part, None when it can."""
    if presence.version != OURS:
        return f"it runs limbeck {presence.version} and the server {OURS}; install the same version."
    return presence.fault or None


def assign_places(presences: Iterable[Presence], *, num_clients: int) -> tuple[str, ...]:
    """Name of the site of each client: a client of the split where it says so, the others in order of names.

    Raises:
        InputError: When they are not as many as the clients, or two are the same client.
    """
    sites = sorted(presences, key=lambda presence: presence.name)
    names = [site.name for site in sites]
    require(
        len(sites) == num_clients,
        "there are as many sites as clients",
        f"{count(len(sites), 'site')} ({enumerate_words(names)}) for {count(num_clients, 'client')}",
        "Change `num_sites` or `split` in the spec, or stop the SuperNodes that do not belong to it.",
    )
    claims = {site.client: site.name for site in sites if site.client != NO_CLIENT}
    num_claims = sum(site.client != NO_CLIENT for site in sites)
    require(
        len(claims) == num_claims and all(0 <= client < num_clients for client in claims),
        "every client of the split is one site",
        ", ".join(f"{site.name}: client {site.client}" for site in sites if site.client != NO_CLIENT),
        f"Let sites name different clients from 0 to {num_clients - 1}.",
    )
    rest = iter(site.name for site in sites if site.client == NO_CLIENT)
    return tuple(claims[client] if client in claims else next(rest) for client in range(num_clients))


def gather(
    roll_call: RollCall,
    *,
    places: Sequence[str],
    num_clients: int,
    num_needed: int,
    seconds: float,
    late_seconds: float = LATE_SECONDS,
) -> Roll:
    """Wait until every site is there, or enough of a run that goes on are and no other has come for a while.

    Whoever cannot take part in a run that goes on is left out of it.

    Args:
        roll_call: Asks nodes who they are.
        places: Sites of a run that goes on, by client; empty for a new one, of which all have to come.
        num_clients: How many clients there are.
        num_needed: How many have to be there for a run that goes on.
        seconds: How long to wait.
        late_seconds: How long to wait after the last that came, where enough are there.

    Raises:
        InputError: When sites do not fit together, or those of a new run to the server.
        RunError: When too few come in time.
    """
    started = changed = time.monotonic()
    presences: dict[int, Presence] = {}
    names: list[str] | None = None
    while True:
        left = max(POLL_SECONDS, seconds - (time.monotonic() - started))
        presences = _call_newcomers(roll_call, presences, is_new=not places, seconds=left)
        able = [presence for presence in presences.values() if find_fault(presence) is None]
        wanted = sorted(site.name for site in able if not places or site.name in places)
        now = time.monotonic()
        if wanted != names:
            names, changed = wanted, now
            roll_call.say(f"{len(wanted)} of {count(num_clients, 'site')} there")
        is_enough = bool(places) and len(wanted) >= num_needed
        if len(wanted) >= num_clients or (is_enough and now - changed >= min(late_seconds, seconds)):
            return _enter(presences, places or assign_places(presences.values(), num_clients=num_clients))
        if now - started >= seconds and not is_enough:
            raise RunError(_describe_absence(wanted, num_clients, seconds))
        time.sleep(POLL_SECONDS)


def _call_newcomers(
    roll_call: RollCall, presences: Mapping[int, Presence], *, is_new: bool, seconds: float
) -> dict[int, Presence]:
    """What the nodes that are online say of themselves; only those that have not are asked."""
    online = set(roll_call.grid.get_node_ids())
    known = {node: presence for node, presence in presences.items() if node in online}
    said = roll_call.ask(online - known.keys(), seconds=seconds)
    if is_new:
        _require_able(said.values())
    else:
        _leave_out(said.values(), roll_call.say)
    known |= said
    _require_different_names(known.values())
    return known


def _enter(presences: Mapping[int, Presence], places: Sequence[str]) -> Roll:
    nodes = _find_sites(presences, places)
    return Roll(places=places, nodes=nodes, strangers=frozenset(presences) - frozenset(nodes.values()))


def meet_strangers(
    roll_call: RollCall, roll: Roll, online: Collection[int], *, seconds: float = ROLL_SECONDS
) -> Roll:
    """The roll with sites that came back under another node."""
    presences = roll_call.ask(set(online) - roll.known, seconds=seconds)
    _leave_out(presences.values(), roll_call.say)
    back = _find_sites(presences, roll.places)
    others = frozenset(presences) - frozenset(back.values())
    return replace(roll, nodes={**roll.nodes, **back}, strangers=roll.strangers | others)


def _find_sites(presences: Mapping[int, Presence], places: Collection[str]) -> dict[str, int]:
    """The node of each site of a run that is there and can take part, by name."""
    return {
        presence.name: node
        for node, presence in presences.items()
        if presence.name in places and find_fault(presence) is None
    }


def _leave_out(presences: Iterable[Presence], say: Callable[[str], None]) -> None:
    """Say who cannot take part, and why."""
    for presence in presences:
        fault = find_fault(presence)
        if fault is not None:
            say(f"`{presence.name}` is left out: {fault}")


def _require_able(presences: Iterable[Presence]) -> None:
    for presence in presences:
        fault = find_fault(presence)
        if fault is not None:
            raise InputError(f"every site must be able to take part, but `{presence.name}` is not: {fault}")


def _require_different_names(presences: Iterable[Presence]) -> None:
    names = sorted(presence.name for presence in presences if find_fault(presence) is None)
    require(
        len(set(names)) == len(names),
        "sites have different names",
        enumerate_words(names),
        "Change `name` in a site's file.",
    )


def _describe_absence(names: Sequence[str], num_clients: int, seconds: float) -> str:
    who = f"{len(names)} of {num_clients} came" + (f" ({enumerate_words(sorted(names))})" if names else "")
    return (
        f"every site must be there within `reply_seconds`, but in {seconds:g} s {who}. Start the SuperNodes "
        "of the others, register their keys, and run the same command again: it goes on after the last round "
        "that was kept, or begins anew where none was."
    )
