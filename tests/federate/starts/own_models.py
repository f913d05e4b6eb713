"""Clients with trained models of their own."""

from dataclasses import replace

from tests.federate.digits_world import PRETRAIN, build, make_clients

from limbeck.engine import pretrain
from limbeck.federate.client import OWN_MODEL, state_of
from limbeck.federate.memory import RamMemory


def train_own_models(num_clients=4):
    """Clients that have trained three epochs each, and their models' weights by index."""
    clients = dict(list(make_clients().items())[:num_clients])
    own = {}
    for index, client in clients.items():
        model = build("mlp")
        pretrain(model, client.inputs, client.labels, training=PRETRAIN, seed=index)
        own[index] = state_of(model)
        client.memory.write(OWN_MODEL, own[index], round_number=0)
    return clients, own


def forget_start(clients):
    """The same clients with nothing but their own models."""
    fresh = {}
    for index, client in clients.items():
        memory = RamMemory()
        memory.write(OWN_MODEL, client.memory.read(OWN_MODEL, before=1), round_number=0)
        fresh[index] = replace(client, memory=memory)
    return fresh
