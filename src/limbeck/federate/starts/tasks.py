"""What a client does while a starting model is made: train or send its model, distil, keep an ensemble."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.core.seeds import derive_seed
from limbeck.engine import Case, Training, apply_technique, pretrain
from limbeck.engine.evaluation import predict_logits
from limbeck.federate.class_statistics import sum_up
from limbeck.federate.client import AFTER_START, OWN_MODEL, Answer, Client, state_of
from limbeck.federate.messages import Message, as_group
from limbeck.federate.starts.record import Distillation
from limbeck.losses import share_mean

PRETRAIN, UPLOAD, DISTIL, GATHER = "pretrain", "upload", "distil", "gather"
STATISTICS, HAS_ENSEMBLE, EVALUATE = "statistics", "has-ensemble", "evaluate"
MODEL, STUDENT, TEACHER, ENSEMBLE = "model", "student", "teacher", "ensemble"
LOGITS, ACCURACY = "logits", "accuracy"


def _pretrain(client: Client, request: Message) -> Answer:
    """Train a model of its own from the common untrained one, unless the client has one."""
    if client.memory.read(OWN_MODEL, before=AFTER_START) is not None:
        return Answer()
    model, training = client.build_fn(client.arch), Training(**request.facts["training"])
    seed = derive_seed(request.facts["seed"], "pretrain", client.index)
    pretrain(model, client.inputs, client.labels, training=training, seed=seed)
    return Answer(kept={OWN_MODEL: state_of(model)})


def _upload(client: Client, request: Message) -> Answer:
    """Send the client's own model."""
    del request
    return Answer(tensors=as_group(MODEL, state_of(client.recall_model())))


def _distil(client: Client, request: Message) -> Answer:
    """Teach a student on the client's samples and send it.

    The student is the one received, or the client's own where none is; the teachers are the ensemble that the
    client keeps, those received, or its own model where none are.
    """
    facts = request.facts
    distillation = Distillation(
        **{**facts["distillation"], "training": Training(**facts["distillation"]["training"])}
    )
    received = request.group(STUDENT)
    student = client.make_model(received) if received else client.recall_model()
    taught = apply_technique(
        _make_case(client, request, student),
        technique=distillation.get_technique(),
        settings=distillation.settings,
        training=distillation.training,
        seed=derive_seed(facts["seed"], "consolidate", client.index, facts["visit"]),
    )
    return Answer(tensors=as_group(MODEL, state_of(taught.student)))


def _make_case(client: Client, request: Message, student: nn.Module) -> Case:
    told = recall_ensemble(client) if request.facts["from_ensemble"] else None
    require(
        told is not None or not request.facts["from_ensemble"],
        "the client keeps what the ensemble says about its samples",
        f"nothing at client {client.index}",
        "Let the start gather it first.",
    )
    teachers = [] if told is not None else (receive_teachers(client, request) or [client.recall_model()])
    return Case(
        student=student,
        teachers=teachers,
        inputs=client.inputs,
        labels=client.labels,
        told=None if told is None else told[None],
    )


def receive_teachers(client: Client, request: Message) -> list[nn.Module]:
    """The models in a message, one per group `teacher.0`, `teacher.1` and so on."""
    teachers: list[nn.Module] = []
    while group := request.group(f"{TEACHER}.{len(teachers)}"):
        teachers.append(client.make_model(group))
    return teachers


def _gather(client: Client, request: Message) -> Answer:
    """Keep what the ensemble of the received models and the client's own says about its samples."""
    teachers = [*receive_teachers(client, request), client.recall_model()]
    said = torch.stack([predict_logits(teacher, client.inputs) for teacher in teachers])
    shares = torch.tensor(request.facts["shares"], dtype=torch.float32, device=said.device)
    shares = shares.expand(-1, said.shape[-1])
    logits = share_mean(said, shares, temperature=request.facts["temperature"])
    return Answer(kept={ENSEMBLE: {LOGITS: logits}})


def _say_whether_gathered(client: Client, request: Message) -> Answer:
    """Say whether the client keeps what an ensemble says."""
    del request
    return Answer(facts={HAS_ENSEMBLE: recall_ensemble(client) is not None})


def _sum_up(client: Client, request: Message) -> Answer:
    """Sums over what the last layer of the received model sees of the client's samples."""
    model = client.make_model(request.group(MODEL))
    statistics = sum_up(model, client.inputs, client.labels, num_classes=client.num_classes)
    return Answer(tensors=as_group(STATISTICS, statistics.to_state()))


def _evaluate(client: Client, request: Message) -> Answer:
    """Say how good the received model is on the client's held-out samples, where it has any."""
    accuracy = client.measure(client.make_model(request.group(MODEL)))
    return Answer(facts={} if accuracy is None else {ACCURACY: accuracy})


def recall_ensemble(client: Client) -> Tensor | None:
    """What the ensemble says about the client's samples, [samples, classes]; None when nothing is kept."""
    kept = client.memory.read(ENSEMBLE, before=AFTER_START)
    return kept[LOGITS].to(client.labels.device) if kept else None


START_TASKS: Mapping[str, Callable[[Client, Message], Answer]] = MappingProxyType(
    {
        PRETRAIN: _pretrain,
        UPLOAD: _upload,
        DISTIL: _distil,
        GATHER: _gather,
        HAS_ENSEMBLE: _say_whether_gathered,
        STATISTICS: _sum_up,
        EVALUATE: _evaluate,
    }
)
