"""Carries messages to clients on Flower: one message per client and exchange, every wait with a limit."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from flwr.app import Message as FlowerMessage
from flwr.app import RecordDict
from flwr.serverapp import Grid

from limbeck.core.errors import InputError, enumerate_words
from limbeck.federate.flower.envelope import Marks, unwrap, wrap
from limbeck.federate.flower.exchange import Post, describe_failure
from limbeck.federate.flower.roll import Roll, RollCall, gather, meet_strangers
from limbeck.federate.flower.run_file import RunFile
from limbeck.federate.messages import FAILED, Ledger, Message, decode, encode


class FlowerCourier:
    """A `limbeck.federate.server.Courier` over Flower's grid.

    Sites are waited for when the first message is to be sent: a run that is over needs none. On every message
    are the run's key, the session's number and its step, by which a client knows an old one.
    """

    def __init__(
        self,
        grid: Grid,
        run_file: RunFile,
        *,
        num_clients: int,
        num_needed: int,
        seconds: float,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Carry nothing yet.

        Args:
            grid: Flower's connection to the nodes.
            run_file: What the run's folder knows of the run and its sites.
            num_clients: How many clients there are.
            num_needed: How many have to be there for a run that goes on.
            seconds: How long to wait for sites, and for replies.
            say: Told of what happens.
        """
        self._grid = grid
        self._run_file = run_file
        self._num_clients = num_clients
        self._num_needed = num_needed
        self._seconds = seconds
        self._say = say
        self._roll_call = RollCall(grid, say=say)
        self._roll: Roll | None = None
        self._step = 0

    def carry(self, requests: Mapping[int, Message], ledger: Ledger) -> Mapping[int, Message]:
        """Send each client its request and bring its reply; see `limbeck.federate.server.Courier`.

        A client that cannot be reached is not sent anything. A reply that cannot be read, and an app that
        failed, are replies with the task `failed`. Before the first round, when each client has to answer,
        all sites are waited for, and one that was lost is sent its request once more when it is back.

        Raises:
            InputError: When sites do not fit together or to the server.
            RunError: When too few sites come in time, or come back.
        """
        self._step += 1
        roll = self._find_sites(requests)
        replies = self._ask(roll, requests, ledger)
        lost = {index: requests[index] for index in requests if index not in replies}
        if not lost or not _need_all(lost):
            return replies
        names = enumerate_words([f"`{roll.places[index]}`" for index in lost])
        self._say(f"no reply from {names}: asked once more, for the last time")
        self._roll = None
        replies |= self._ask(self._find_sites(lost), lost, ledger)
        return {index: replies[index] for index in requests if index in replies}

    def _ask(self, roll: Roll, requests: Mapping[int, Message], ledger: Ledger) -> dict[int, Message]:
        """Send the requests of an exchange, all or some, and bring the replies."""
        nodes = roll.find_nodes(requests, set(self._grid.get_node_ids()))
        group = ", ".join(dict.fromkeys(f"{request.task} {request.round}" for request in requests.values()))
        post = Post(self._grid)
        records = self._write(requests, nodes, ledger)
        post.send(records, message_type="train", group=group, seconds=self._seconds)
        carried = post.collect(nodes.values(), seconds=self._seconds)
        return {
            index: self._open(index, requests[index], carried.pop(node), ledger)
            for index, node in nodes.items()
            if node in carried
        }

    def _write(
        self, requests: Mapping[int, Message], nodes: Mapping[int, int], ledger: Ledger
    ) -> Iterator[tuple[int, RecordDict]]:
        """Nodes, and what to send to each; bytes are in memory from their first to their last use."""
        uses = Counter(id(requests[index]) for index in nodes)
        contents: dict[int, bytes] = {}
        for index, node in nodes.items():
            request, key = requests[index], id(requests[index])
            if key not in contents:
                contents[key] = encode(request)
            uses[key] -= 1
            content = contents[key] if uses[key] else contents.pop(key)
            ledger.note(content, round_number=request.round, client=index, direction="down")
            yield node, wrap(content, self._mark(index))

    def _find_sites(self, requests: Mapping[int, Message]) -> Roll:
        """The sites that are there, gathered where they have not been."""
        if self._roll is None:
            self._roll = gather(
                self._roll_call,
                places=self._run_file.places,
                num_clients=self._num_clients,
                num_needed=self._num_clients if _need_all(requests) else self._num_needed,
                seconds=self._seconds,
            )
            self._run_file = self._run_file.with_places(self._roll.places)
        online = set(self._grid.get_node_ids())
        if len(self._roll.find_nodes(requests, online)) < len(requests):
            self._roll = meet_strangers(self._roll_call, self._roll, online, seconds=self._seconds)
        return self._roll

    def _mark(self, index: int) -> Marks:
        return Marks(run=self._run_file.key, session=self._run_file.session, step=self._step, client=index)

    def _open(self, index: int, request: Message, reply: FlowerMessage, ledger: Ledger) -> Message:
        """The message in a client's reply."""
        if reply.has_error():
            return _fail(request, describe_failure(reply))
        try:
            content, marks = unwrap(reply.content)
            ledger.note(content, round_number=request.round, client=index, direction="up")
            if marks != self._mark(index):
                return _fail(request, f"it answers another message ({marks})")
            return decode(content)
        except InputError as error:
            return _fail(request, str(error))


def _need_all(requests: Mapping[int, Message]) -> bool:
    """Whether they belong to what happens before the first round."""
    return any(request.round == 0 for request in requests.values())


def _fail(request: Message, reason: str) -> Message:
    return Message(task=FAILED, round=request.round, facts={"reason": reason})
