"""Federated learning: starting models, messages, aggregation and an in-process simulation."""

from limbeck.federate.client import Client
from limbeck.federate.messages import Entry, Ledger, decode, encode
from limbeck.federate.simulation import Round, run_fedavg
from limbeck.federate.starts import STARTS, Consolidation, Start, Started, make_start

__all__ = [
    "STARTS",
    "Client",
    "Consolidation",
    "Entry",
    "Ledger",
    "Round",
    "Start",
    "Started",
    "decode",
    "encode",
    "make_start",
    "run_fedavg",
]
