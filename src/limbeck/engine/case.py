"""What a transfer starts from, and what its models say before it.

What does not depend on the technique or its settings (the teachers' and the initial student's logits on the
transfer set) is computed once, in a `Case`, and shared by every transfer made from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.data import Augmentation, Inputs
from limbeck.engine.evaluation import tells_better_than_chance
from limbeck.engine.layout import Precision
from limbeck.engine.target_cache import TargetCache, predict_cached
from limbeck.engine.training import view_epoch
from limbeck.losses import align_logits

Columns = tuple[int | None, ...]
"""Per class of the student the teacher's class, None where the teacher has none."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One student, any number of teachers and the samples to transfer on. Models are never changed.

    Attributes:
        student: The student before the transfer.
        teachers: The trained models that know something else.
        inputs: The transfer set, as the models take it.
        labels: [samples] int64 on the models' device, or None when the transfer set is unlabelled.
        columns: Per teacher where its classes are among the student's; None when every teacher has the
            student's classes in the student's order.
        taught_classes: Per teacher the classes of the student it was trained on, None to find out; see
            `known_classes`.
        cache: Where the logits of models that do not change are kept, None for nowhere.
        precision: In which models that do not change are asked.
        told: What the teachers said about these inputs, [teachers, samples, classes] in the student's
            classes, when they were asked before and are not here; None to ask them.

    Raises:
        InputError: When a teacher shares no class with the student.
    """

    student: nn.Module
    teachers: Sequence[nn.Module]
    inputs: Inputs
    labels: Tensor | None
    columns: Sequence[Columns] | None = None
    taught_classes: Sequence[Sequence[int]] | None = None
    cache: TargetCache | None = None
    precision: Precision = "float32"
    told: Tensor | None = None

    def __post_init__(self) -> None:
        for number, columns in enumerate(self.columns or ()):
            require(
                any(column is not None for column in columns),
                "teacher and student share a class",
                f"none with teacher {number + 1}",
                "Map the teacher's class names to the student's.",
            )

    @cached_property
    def teacher_logits(self) -> Tensor:
        """What each teacher says in the student's classes, [teachers, samples, classes]."""
        if self.told is not None:
            return self.told
        said = [self._ask(teacher) for teacher in self.teachers]
        if self.columns is None:
            return torch.stack(said)
        aligned = [self._align(logits, columns) for logits, columns in zip(said, self.columns, strict=True)]
        return torch.stack(aligned)

    @property
    def num_teachers(self) -> int:
        """How many teachers there are, here or where they were asked."""
        return len(self.teachers) if self.told is None else len(self.told)

    @cached_property
    def initial_logits(self) -> Tensor:
        """What the student says before the transfer."""
        return self._ask(self.student)

    def _ask(self, model: nn.Module) -> Tensor:
        return predict_cached(model, self.inputs, self.cache, precision=self.precision)

    def view(self, augmentation: Augmentation, *, epoch: int, seed: int) -> "Case":
        """The case with its images as they are in an epoch, the same object each time.

        Raises:
            InputError: When the inputs are to be augmented and are no images.
        """
        if augmentation == "none":
            return self
        require(
            self.told is None,
            "samples are as the teachers saw them",
            f"augmentation={augmentation}",
            "Use `none`, or have the teachers at hand.",
        )
        key = (augmentation, epoch, seed)
        if key not in self._views:
            self._views[key] = replace(
                self, inputs=view_epoch(self.inputs, augmentation, epoch=epoch, seed=seed)
            )
        return self._views[key]

    @cached_property
    def _views(self) -> dict[tuple[Augmentation, int, int], "Case"]:
        return {}

    @property
    def known_classes(self) -> Tensor:
        """Which classes each teacher knows, bool [teachers, classes].

        Those of `taught_classes`; without them, the ones it tells better than chance on the transfer set,
        where that is labelled and has samples of the class. A class that a teacher lacks it does not know.
        """
        said = self.teacher_logits
        if self.taught_classes is not None:
            known = torch.zeros(said.shape[0], said.shape[2], dtype=torch.bool)
            for number, classes in enumerate(self.taught_classes):
                known[number, list(classes)] = True
        else:
            known = torch.stack([self._tells(logits) for logits in said])
        for number, columns in enumerate(self.columns or ()):
            known[number] &= torch.tensor([column is not None for column in columns])
        return known.to(said.device)

    def _tells(self, logits: Tensor) -> Tensor:
        num_classes = logits.shape[1]
        if self.labels is None:
            return torch.ones(num_classes, dtype=torch.bool)
        predictions, labels = logits.argmax(dim=-1).cpu().numpy(), self.labels.cpu().numpy()
        tells = tells_better_than_chance(predictions, labels, num_classes=num_classes)
        return torch.tensor([told is None or told for told in tells])

    def only_teacher(self, number: int) -> "Case":
        """The same case with one of its teachers."""
        return replace(
            self,
            teachers=[] if self.told is not None else [self.teachers[number]],
            told=None if self.told is None else self.told[number][None],
            columns=self.columns and [self.columns[number]],
            taught_classes=self.taught_classes and [self.taught_classes[number]],
        )

    def _align(self, logits: Tensor, columns: Columns) -> Tensor:
        needs_student = any(column is None for column in columns)
        initial = self.initial_logits if needs_student else None
        return align_logits(logits, initial, columns, self.labels)
