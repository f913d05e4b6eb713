"""Messages to nodes and their replies: sent at once, waited for with a limit."""

import time
from collections.abc import Mapping

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


def exchange(
    grid: Grid, records: Mapping[int, RecordDict], *, message_type: str, group: str, seconds: float
) -> dict[int, Message]:
    """What each node replied; a node that was not reached, or did not reply in time, is missing.

    Args:
        grid: Flower's connection to the nodes.
        records: What to send, by node.
        message_type: Which function of the node's app it is for: `train` or `query`.
        group: A name for the messages in Flower's log.
        seconds: How long to wait; messages that come later are lost.
    """
    messages = [
        Message(record, node, message_type, ttl=seconds, group_id=group) for node, record in records.items()
    ]
    deadline = time.monotonic() + seconds
    sent = zip(grid.push_messages(messages), records, strict=False)
    waiting = {message_id: node for message_id, node in sent if message_id is not None}
    replies: dict[int, Message] = {}
    while waiting:
        for reply in grid.pull_messages(list(waiting)):
            node = waiting.pop(reply.metadata.reply_to_message_id, None)
            if node is not None and not _is_out_of_reach(reply):
                replies[node] = reply
        if time.monotonic() >= deadline:
            break
        if waiting:
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
