"""Federated learning: starting models, strategies, messages, and the engines that carry them."""

from limbeck.federate.client import Client
from limbeck.federate.messages import Entry, Ledger, Message, decode, encode
from limbeck.federate.plan import Plan, Privacy
from limbeck.federate.run import Recipe, Server, federate
from limbeck.federate.server import Round, Standing
from limbeck.federate.simulation import Simulation
from limbeck.federate.starts import STARTS, Distillation
from limbeck.federate.strategies import STRATEGIES

__all__ = [
    "STARTS",
    "STRATEGIES",
    "Client",
    "Distillation",
    "Entry",
    "Ledger",
    "Message",
    "Plan",
    "Privacy",
    "Recipe",
    "Round",
    "Server",
    "Simulation",
    "Standing",
    "decode",
    "encode",
    "federate",
]
