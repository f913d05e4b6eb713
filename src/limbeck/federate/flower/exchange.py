"""Messages to nodes and their replies: sent one by one, waited for together and with a limit."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from flwr.app import Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid

POLL_SECONDS = 0.5

# What a node's app itself failed at; any other error says that the node was not reached.
APP_ERRORS = (
    ErrorCode.LOAD_CLIENT_APP_EXCEPTION,
    ErrorCode.CLIENT_APP_RAISED_EXCEPTION,
    ErrorCode.MOD_FAILED_PRECONDITION,
    ErrorCode.INVALID_FAB,
    ErrorCode.CLIENT_APP_CRASHED,
)


@dataclass
class Post:
    """Messages to nodes, and which of them may still be answered.

    Attributes:
        grid: Flower's connection to the nodes.
        waiting: The node of each message that is under way, by the message's id.
    """

    grid: Grid
    waiting: dict[str, int] = field(default_factory=dict)

    def send(
        self, records: Iterable[tuple[int, RecordDict]], *, message_type: str, group: str, seconds: float
    ) -> None:
        """Send messages one after the other, so that no two of them have to be in memory.

        Args:
            records: Nodes, and what to send to each; taken when the one before has been sent.
            message_type: Which function of the node's app it is for: `train` or `query`.
            group: A name for the messages in Flower's log.
            seconds: How long each may take to be answered; a reply that comes later is lost.
        """
        for node, record in records:
            message = Message(record, node, message_type, ttl=seconds, group_id=group)
            for message_id in self.grid.push_messages([message]):
                if message_id is not None:
                    self.waiting[message_id] = node

    def collect(self, nodes: Collection[int], *, seconds: float) -> dict[int, Message]:
        """The replies that have come once all of some nodes have replied, or are out of reach.

        Args:
            nodes: Whom to wait for; what others have replied by then is collected too.
            seconds: How long to wait.
        """
        deadline = time.monotonic() + seconds
        replies: dict[int, Message] = {}
        while self.waiting:
            for reply in self.grid.pull_messages(list(self.waiting)):
                node = self.waiting.pop(reply.metadata.reply_to_message_id, None)
                if node is not None and not _is_out_of_reach(reply):
                    replies[node] = reply
            if set(nodes).isdisjoint(self.waiting.values()) or time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)
        return replies


def _is_out_of_reach(reply: Message) -> bool:
    return reply.has_error() and reply.error.code not in APP_ERRORS


def describe_failure(reply: Message) -> str:
    """Why a node's app failed, as Flower tells it, on one line."""
    reason = " ".join((reply.error.reason or "").split())
    if reply.error.code == ErrorCode.LOAD_CLIENT_APP_EXCEPTION:
        return f"its Flower could not load limbeck ({reason}). Install `limbeck[flower]` there"
    return reason or f"its app failed with Flower's code {reply.error.code}"
