"""Keeping the state a student had after its best epoch, or after its last good one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Keep = Literal["best", "last"]
KEEPS: tuple[Keep, ...] = get_args(Keep)
SCORES, KEPT_EPOCH, KEPT = "scores", "kept_epoch", "kept."


class Keeper:
    """Watches a student and remembers one state of it.

    With `best` it is the state with the highest score, the earliest of equals, and the state it came with is
    among them: what is kept is never worse on that score. With `last` it is the latest one, which matters
    when the training goes on to diverge.

    Attributes:
        scores: The score before (first) and after each epoch.
        kept_epoch: The epoch of the kept state, 0 for the one it came with.
    """

    def __init__(
        self,
        student: nn.Module,
        score_fn: Callable[[nn.Module], float],
        *,
        first_score: float,
        keep: Keep,
    ) -> None:
        self._score_fn = score_fn
        self._keep = keep
        self.scores = [first_score]
        self.kept_epoch = 0
        self._state = _copy_state(student)

    def look(self, models: Sequence[nn.Module]) -> None:
        """Score the first of the models after an epoch, and remember its state where that is to be kept."""
        student = models[0]
        score = self._score_fn(student)
        self.scores.append(score)
        if self._keep == "last" or score > self.scores[self.kept_epoch]:
            self.kept_epoch = len(self.scores) - 1
            self._state = _copy_state(student)

    def pack(self) -> dict[str, Tensor]:
        """Everything it remembers, as tensors by name."""
        scores = torch.tensor(self.scores, dtype=torch.float64)
        state = {f"{KEPT}{name}": value for name, value in self._state.items()}
        return {SCORES: scores, KEPT_EPOCH: torch.tensor(self.kept_epoch), **state}

    def unpack(self, packed: Mapping[str, Tensor]) -> None:
        """Remember what `pack` gave."""
        self.scores = packed[SCORES].tolist()
        self.kept_epoch = int(packed[KEPT_EPOCH])
        self._state = {name: packed[f"{KEPT}{name}"] for name in self._state}

    def restore(self, student: nn.Module) -> nn.Module:
        """Give the student the kept state, in evaluation mode."""
        student.load_state_dict(self._state)
        return student.eval()


def _copy_state(model: nn.Module) -> dict[str, Tensor]:
    with torch.no_grad():
        return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
