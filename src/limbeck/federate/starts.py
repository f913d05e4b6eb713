"""Starting models for federated learning, made from clients' differently pre-trained models.

`scratch`, `best-client` and `weight-average` distil nothing and are the yardsticks; `hub` and `chain` distil.
Every message passes through the server and is put into the ledger as round 0.

References:
    The comparison of starts: "Practical Insights into Knowledge Distillation for Pre-Trained Models",
    https://arxiv.org/abs/2402.14922.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from limbeck.core.errors import require_known
from limbeck.core.seeds import derive_seed
from limbeck.engine import Case, Training, apply_technique
from limbeck.federate.client import Client, with_state
from limbeck.federate.messages import Ledger
from limbeck.models.averaging import weighted_average
from limbeck.techniques import AnySettings, Technique


@dataclass(frozen=True, kw_only=True)
class Consolidation:
    """What a start is made from.

    Attributes:
        initial: The common, untrained model all clients began with.
        clients: The parties and their samples.
        models: Each client's own pre-trained model, in the order of `clients`.
        score_fn: Accuracy of a model on the server's validation samples.
        technique: How `hub` and `chain` distil.
        settings: Temperature and weight of that technique.
        training: Budget of each distillation.
        seed: Seed of the batch orders.
    """

    initial: nn.Module
    clients: Sequence[Client]
    models: Sequence[nn.Module]
    score_fn: Callable[[nn.Module], float]
    technique: Technique
    settings: AnySettings | None
    training: Training
    seed: int


@dataclass(frozen=True, kw_only=True)
class Start:
    """A way to make the starting model.

    Attributes:
        name: Name in a spec and in results.
        summary: What it does, in one line.
        is_distilled: Whether knowledge is distilled to make it.
        needs_models: Whether it uses the clients' pre-trained models, whose cost then counts too.
        make_fn: From a consolidation and the ledger of its messages to the model.
    """

    name: str
    summary: str
    is_distilled: bool
    needs_models: bool
    make_fn: Callable[[Consolidation, Ledger], nn.Module]


@dataclass(frozen=True, kw_only=True)
class Started:
    """A starting model and what it cost beyond the clients' own training.

    Attributes:
        model: The model.
        bytes_sent: Bytes of the messages that made it.
        seconds: Time it took.
    """

    model: nn.Module
    bytes_sent: int
    seconds: float


def make_start(name: str, consolidation: Consolidation, ledger: Ledger) -> Started:
    """Make the starting model called `name`.

    Raises:
        InputError: When there is no such start.
    """
    require_known("start", name, STARTS)
    bytes_before, started = ledger.total_bytes(), time.perf_counter()
    model = STARTS[name].make_fn(consolidation, ledger)
    return Started(
        model=model,
        bytes_sent=ledger.total_bytes() - bytes_before,
        seconds=time.perf_counter() - started,
    )


def start_from_scratch(consolidation: Consolidation, ledger: Ledger) -> nn.Module:
    """The untrained model; costs nothing."""
    del ledger
    return copy.deepcopy(consolidation.initial)


def start_from_best_client(consolidation: Consolidation, ledger: Ledger) -> nn.Module:
    """The client's model with the highest validation accuracy at the server; one upload per client."""
    models = _upload_all(consolidation, ledger)
    return max(models, key=consolidation.score_fn)


def start_from_weight_average(consolidation: Consolidation, ledger: Ledger) -> nn.Module:
    """The mean of the clients' weights by their numbers of samples; one upload per client."""
    models = _upload_all(consolidation, ledger)
    sizes = [len(client) for client in consolidation.clients]
    return with_state(
        consolidation.initial, weighted_average([model.state_dict() for model in models], sizes)
    )


def start_from_hub(consolidation: Consolidation, ledger: Ledger) -> nn.Module:
    """The largest client's model, taught on its own data by all others at once, whose models travel there."""
    hub, *others = _by_size(consolidation.clients)
    teachers = []
    for client in others:
        model = consolidation.models[client.index]
        uploaded = ledger.send(model.state_dict(), round_number=0, client=client.index, direction="up")
        delivered = ledger.send(uploaded, round_number=0, client=hub.index, direction="down")
        teachers.append(with_state(model, delivered))
    student = _distil(consolidation, hub, consolidation.models[hub.index], teachers)
    return _upload(consolidation, ledger, student, hub.index)


def start_from_chain(consolidation: Consolidation, ledger: Ledger) -> nn.Module:
    """The largest client's model travels to every other client once, whose own model teaches it on its data.

    Clients are visited by descending number of samples, so the teachers that know most come first.
    """
    first, *others = _by_size(consolidation.clients)
    student = _upload(consolidation, ledger, consolidation.models[first.index], first.index)
    for client in others:
        state = ledger.send(student.state_dict(), round_number=0, client=client.index, direction="down")
        visitor = with_state(student, state)
        taught = _distil(consolidation, client, visitor, [consolidation.models[client.index]])
        student = _upload(consolidation, ledger, taught, client.index)
    return student


def _by_size(clients: Sequence[Client]) -> list[Client]:
    return sorted(clients, key=lambda client: (-len(client), client.index))


def _upload_all(consolidation: Consolidation, ledger: Ledger) -> list[nn.Module]:
    return [_upload(consolidation, ledger, model, index) for index, model in enumerate(consolidation.models)]


def _upload(consolidation: Consolidation, ledger: Ledger, model: nn.Module, client: int) -> nn.Module:
    state = ledger.send(model.state_dict(), round_number=0, client=client, direction="up")
    return with_state(consolidation.initial, state)


def _distil(
    consolidation: Consolidation, client: Client, student: nn.Module, teachers: Sequence[nn.Module]
) -> nn.Module:
    case = Case(student=student, teachers=teachers, inputs=client.inputs, labels=client.labels)
    outcome = apply_technique(
        case,
        technique=consolidation.technique,
        settings=consolidation.settings,
        training=consolidation.training,
        seed=derive_seed(consolidation.seed, "consolidate", client.index),
    )
    return outcome.student


STARTS: Mapping[str, Start] = MappingProxyType(
    {
        start.name: start
        for start in (
            Start(
                name="scratch",
                summary="the untrained model",
                is_distilled=False,
                needs_models=False,
                make_fn=start_from_scratch,
            ),
            Start(
                name="best-client",
                summary="the client's model that is best on the server's validation samples",
                is_distilled=False,
                needs_models=True,
                make_fn=start_from_best_client,
            ),
            Start(
                name="weight-average",
                summary="the mean of the clients' weights",
                is_distilled=False,
                needs_models=True,
                make_fn=start_from_weight_average,
            ),
            Start(
                name="hub",
                summary="the largest client's model, taught by all others on its data",
                is_distilled=True,
                needs_models=True,
                make_fn=start_from_hub,
            ),
            Start(
                name="chain",
                summary="a model that visits every client and is taught by its model on its data",
                is_distilled=True,
                needs_models=True,
                make_fn=start_from_chain,
            ),
        )
    }
)
