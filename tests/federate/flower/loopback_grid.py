"""Flower's grid without a network: messages go to functions in this process, as fast as they answer."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from flwr.app import Context, Error, Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from limbeck.federate.flower.app import client_app

Node = Callable[[Message], Message | None]
"""What a node makes of a message; None for no answer."""


@dataclass
class LoopbackGrid(Grid):
    """A grid over nodes in this process.

    Attributes:
        nodes: By id.
        received: Every message that came to a node, in order, with the node's id.
        waiting: Replies that have not been pulled, by the id of the message they answer.
        num_early: How often replies are asked for before any has come.
    """

    nodes: Mapping[int, Node]
    received: list[tuple[int, Message]] = field(default_factory=list)
    waiting: dict[str, Message] = field(default_factory=dict)
    num_early: int = 0
    numbers: Iterable[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1

    def set_run(self, run: Run) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Run:
        raise NotImplementedError

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None) -> Message:
        raise NotImplementedError

    def send_and_receive(self, messages, *, timeout=None) -> Iterable[Message]:
        raise NotImplementedError

    def get_nodes(self) -> Iterable[NodeInfo]:
        return [NodeInfo(node_id=node) for node in self.nodes]

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = []
        for message in messages:
            name = f"message {next(iter(self.numbers))}"
            message.metadata.__dict__["_message_id"] = name
            node = message.metadata.dst_node_id
            self.received.append((node, message))
            reply = self.nodes[node](message)
            if reply is not None:
                self.waiting[name] = reply
            ids.append(name)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        if self.num_early:
            self.num_early -= 1
            return []
        return [self.waiting.pop(name) for name in message_ids if name in self.waiting]


def make_site_node(node_config: Mapping[str, str | int]) -> Node:
    """A node with limbeck's app and a `--node-config`."""

    def answer(message: Message) -> Message:
        context = Context(
            run_id=1, node_id=2, node_config=dict(node_config), state=RecordDict(), run_config={}
        )
        return client_app(message, context)

    return answer


def make_trial_nodes(folder, num_clients: int) -> dict[int, Node]:
    """A node for each client of a split, with ids from 100."""
    return {
        100 + client: make_site_node({"client": client, "folder": str(folder / f"client-{client}")})
        for client in range(num_clients)
    }


def fail(message: Message, *, code: int, reason: str) -> Message:
    """What Flower answers when a node's app failed, or the node was not reached."""
    return Message(Error(code=code, reason=reason), reply_to=message)


def only_for(kind: str, meddle: Callable[[Message], Message | None], node: Node) -> Node:
    """A node that does something else about messages of one kind, `train` or `query`."""
    return lambda message: meddle(message) if message.metadata.message_type == kind else node(message)
