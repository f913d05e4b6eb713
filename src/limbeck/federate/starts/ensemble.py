"""The start `ensemble`: the server teaches the weight average what the ensemble of all clients says.

A model counts for a class by its share of all samples of that class (`limbeck.losses.share_mean`). The proxy
set has no labels, so the ensemble is all there is to learn from and the `weight` of `distil` plays no part;
of what every epoch makes the server keeps the best on its validation samples. Cost: every client's model
up, once, and the distillation at the server.
"""

import torch
from torch import Tensor

from limbeck.core.seeds import derive_seed
from limbeck.engine import predict_logits
from limbeck.federate.client import fill, state_of
from limbeck.federate.federation import Federation
from limbeck.federate.messages import State
from limbeck.federate.server_distillation import at_server, distil_on_proxy
from limbeck.federate.starts.naive import average_by_arch, upload_all
from limbeck.federate.starts.record import Consolidation, Start
from limbeck.losses import share_mean


def start_from_ensemble(consolidation: Consolidation) -> dict[str, State]:
    """Per architecture the weight average, distilled on the proxy set towards the ensemble of all models."""
    distillation = consolidation.require_distillation()
    uploaded = upload_all(consolidation)
    with at_server():
        targets = predict_ensemble(consolidation.federation, uploaded, temperature=distillation.temperature)
        averages = average_by_arch(consolidation, uploaded)
        return {arch: _teach(consolidation, arch, state, targets) for arch, state in averages.items()}


def predict_ensemble(federation: Federation, uploaded: dict[int, State], *, temperature: float) -> Tensor:
    """What the coverage-weighted ensemble of the clients says about the proxy set, [samples, classes].

    Args:
        federation: What the server has.
        uploaded: Every client's own model.
        temperature: T of the ensemble.
    """
    assert federation.proxy is not None
    said = torch.stack(
        [
            predict_logits(fill(federation.build_fn(party.arch), uploaded[party.index]), federation.proxy)
            for party in federation.parties
        ]
    )
    counts = [party.class_counts for party in federation.parties]
    shares = torch.tensor(counts, dtype=torch.float32, device=said.device)
    return share_mean(said, shares, temperature=temperature)


def _teach(consolidation: Consolidation, arch: str, state: State, targets: Tensor) -> State:
    federation, distillation = consolidation.federation, consolidation.require_distillation()
    assert federation.proxy is not None
    student = fill(federation.build_fn(arch), state)
    distil_on_proxy(
        student,
        federation.proxy,
        targets,
        training=distillation.training,
        temperature=distillation.temperature,
        patience=max(1, distillation.training.epochs),
        score_fn=federation.validation_fn,
        seed=derive_seed(federation.plan.seed, "consolidate", "server", arch),
    )
    return state_of(student)


ENSEMBLE = Start(
    name="ensemble",
    summary="the average, taught on the proxy set by the coverage-weighted ensemble of all",
    make_fn=start_from_ensemble,
    only_technique="kd",
    is_distilled=True,
    mixes_architectures=True,
    needs_proxy=True,
)
