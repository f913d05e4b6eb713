"""Hub and chain: who is visited in which order, and what is taught there."""

from dataclasses import replace

import pytest
from tests.federate.digits_world import DISTILLATION, assert_same_bits, build, consolidate
from tests.federate.starts.own_models import forget_start, train_own_models

from limbeck.core.seeds import derive_seed
from limbeck.engine import Case, apply_technique
from limbeck.federate import Ledger
from limbeck.federate.client import state_of
from limbeck.federate.starts import get_start
from limbeck.models import weighted_average


@pytest.fixture(scope="module")
def trained():
    return train_own_models()


def load(state):
    model = build("mlp")
    model.load_state_dict(state)
    return model


def teach(client, student, teachers, *, visit=0):
    """A transfer on the client's samples, as a caller of the library would make it."""
    case = Case(
        student=load(student),
        teachers=[load(state) for state in teachers],
        inputs=client.inputs,
        labels=client.labels,
    )
    seed = derive_seed(0, "consolidate", client.index, visit)
    taught = apply_technique(
        case,
        technique=DISTILLATION.get_technique(),
        settings=DISTILLATION.settings,
        training=DISTILLATION.training,
        seed=seed,
    )
    return state_of(taught.student)


def make(name, clients, **changes):
    ledger = Ledger()
    consolidation = consolidate(forget_start(clients), ledger, distillation=replace(DISTILLATION, **changes))
    return get_start(name).make_fn(consolidation)["mlp"], ledger


def visits(ledger):
    """Whom a model was sent to, in order."""
    is_model = [entry for entry in ledger.entries if entry.message_bytes > 50_000]
    return [entry.client for entry in is_model if entry.direction == "down"]


def test_the_hub_is_the_largest_client_taught_by_all_others_at_once(trained):
    clients, own = trained
    made, ledger = make("hub", clients)
    assert visits(ledger) == [1]
    # Shares are 0.1, 0.4, 0.3 and 0.2 of the samples: by size 1, 2, 3, 0.
    assert_same_bits(made, teach(clients[1], own[1], [own[2], own[3], own[0]]))


def test_the_chain_begins_at_the_largest_client_and_is_taught_by_each_next_ones_model(trained):
    clients, own = trained
    made, ledger = make("chain", clients)
    assert visits(ledger) == [2, 3, 0]
    expected = own[1]
    for index in (2, 3, 0):
        expected = teach(clients[index], expected, [own[index]])
    assert_same_bits(made, expected)


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        ({"order": "reverse-size"}, [3, 2, 1]),
        ({"order": "index"}, [1, 2, 3]),
        ({"visits": 2}, [2, 3, 0, 1, 2, 3, 0]),
        ({"origin": "average"}, [1, 2, 3, 0]),
        ({"origin": "average", "visits": 2, "order": "index"}, [0, 1, 2, 3, 0, 1, 2, 3]),
    ],
)
def test_the_chain_visits_in_the_order_it_is_told(trained, changes, order):
    assert visits(make("chain", trained[0], **changes)[1]) == order


def test_a_chain_from_the_average_is_taught_at_its_first_stop_too(trained):
    clients, own = trained
    made, _ = make("chain", clients, origin="average", visits=2, order="index")
    sizes = [len(client) for client in clients.values()]
    expected = weighted_average([own[index] for index in clients], sizes)
    for visit in (0, 1):
        for index in clients:
            expected = teach(clients[index], expected, [own[index]], visit=visit)
    assert_same_bits(made, expected)


def test_clients_of_one_size_are_visited_by_index(trained):
    clients = forget_start(trained[0])
    alike = {
        index: replace(client, inputs=client.inputs[:40], labels=client.labels[:40])
        for index, client in clients.items()
    }
    for order in ("size", "reverse-size"):
        assert visits(make("chain", alike, order=order)[1]) == [1, 2, 3]
