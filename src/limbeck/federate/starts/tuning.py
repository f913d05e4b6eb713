"""Which settings a start distils with, chosen by what clients can measure: the `federated` objective.

Every candidate makes its starting model; clients measure each on their own held-out samples and say a number.
The mean over clients decides, as in `limbeck tune --objective federated`.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from limbeck.core.errors import require
from limbeck.federate.messages import Message, State, as_group
from limbeck.federate.starts.record import Consolidation, Distillation, Start
from limbeck.federate.starts.tasks import ACCURACY, EVALUATE, MODEL


@dataclass(frozen=True, kw_only=True)
class TunedStart:
    """A starting model and how its settings were chosen.

    Attributes:
        models: Weights of each architecture.
        chosen: The settings.
        scores: Per candidate the mean accuracy over clients, in the order they were given.
    """

    models: Mapping[str, State]
    chosen: Distillation
    scores: tuple[float, ...]


def tune_start(consolidation: Consolidation, start: Start, candidates: Sequence[Distillation]) -> TunedStart:
    """The start made with the best of several settings, the first of equals.

    Args:
        consolidation: What it is made with.
        start: A start that distils.
        candidates: At least one.

    Raises:
        InputError: When there is no candidate, or the start does not distil.
    """
    require(len(candidates) > 0, "at least one candidate", "none", "Name temperatures and weights.")
    require(start.is_distilled, "a start that is tuned distils", f"start={start.name}", "Leave `tune` out.")
    best, scores = None, []
    for candidate in candidates:
        models = start.make_fn(replace(consolidation, distillation=candidate))
        scores.append(score_start(consolidation, models))
        if best is None or scores[-1] > max(scores[:-1], default=-math.inf):
            best = (models, candidate)
    assert best is not None
    if best[1] is not candidates[-1]:
        start.make_fn(replace(consolidation, distillation=best[1]))  # clients keep its ensemble, not the last
    return TunedStart(models=best[0], chosen=best[1], scores=tuple(scores))


def score_start(consolidation: Consolidation, models: Mapping[str, State]) -> float:
    """The mean over clients with held-out samples of a starting model's accuracy on these.

    Raises:
        InputError: When no client has any.
    """
    requests = {
        party.index: Message(task=EVALUATE, round=0, tensors=as_group(MODEL, models[party.arch]))
        for party in consolidation.parties
    }
    replies = consolidation.ask(requests)
    told = [reply.facts[ACCURACY] for reply in replies.values() if ACCURACY in reply.facts]
    require(len(told) > 0, "a client has held-out samples to measure on", "none", "Raise `held_out`.")
    return statistics.fmean(told)
