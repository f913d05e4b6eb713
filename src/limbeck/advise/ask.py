"""What a user asks: advice from two models and data, or from label counts alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from limbeck.advise.counts import LabelCounts
from limbeck.advise.features import describe_counts
from limbeck.advise.folds import SHORTLIST
from limbeck.advise.measured import Measured
from limbeck.advise.record import Advice
from limbeck.advise.transfer import Wording, advise_case
from limbeck.core.errors import require
from limbeck.data import DataSet, Samples, make_data_set
from limbeck.models import count_parameters
from limbeck.pairs import Comparison, compare
from limbeck.pairs.user_data import UserData, read_user_data

NO_COUNTS = (
    "The teacher's label counts are not known: the case is compared by what the models say. "
    "Its counts make the advice sharper (`teacher_counts`, on the command line --counts or --split)."
)
NO_TEST = "The data have no test part: accuracies were measured on the samples the transfer would learn from."


def advise(  # noqa: PLR0913 - everything a user may set, in one call
    student: nn.Module,
    teacher: nn.Module,
    data: Any,
    *,
    teacher_counts: ArrayLike | None = None,
    tries: int = SHORTLIST,
    names: tuple[str, str] = ("the student", "the teacher"),
    class_map: Mapping[str, str] | None = None,
    measured: Measured | None = None,
    device: str = "auto",
    cache: bool = True,
    progress: bool = True,
    wording: Wording | None = None,
) -> Advice:
    """What to do with a student, a teacher and the student's data; nothing is trained.

    Args:
        student: Any module that returns logits, or a `limbeck.models.Classifier`.
        teacher: The same.
        data: The student's data, as for `limbeck.transfer`; its test part should have samples of all classes
            that matter.
        teacher_counts: The teacher's samples per class, in the order of the data's classes; None when
            unknown.
        tries: At most so many settings are proposed.
        names: What to call the models.
        class_map: The models' class names to the data's, where they differ.
        measured: The evidence; None for what ships with the package.
        device: `auto`, `cpu` or `cuda`.
        cache: Whether logits are kept in the user's cache folder.
        progress: Whether to show progress.
        wording: What the command to run names.

    Raises:
        InputError: When models and data do not fit each other.
    """
    given = read_user_data(data)
    options: dict[str, Any] = {
        "names": names,
        "class_map": class_map,
        "device": device,
        "cache": cache,
        "progress": progress,
    }
    on_test = compare(student, teacher, data, **options)
    on_own = compare(student, teacher, _show_training_part(given), **options)
    num_classes = len(on_test.class_names)
    counts = np.bincount(given.train.labels.cpu().numpy(), minlength=num_classes)
    features = _describe_models(on_test, on_own)
    features["parameters_ratio"] = float(np.log2(count_parameters(teacher) / count_parameters(student)))
    warnings = [*on_test.warnings]
    if teacher_counts is None:
        warnings.append(NO_COUNTS)
    else:
        features = {**describe_counts(counts, _check_counts(teacher_counts, len(counts))), **features}
    if given.test is None:
        warnings.append(NO_TEST)
    return advise_case(features, measured=measured, size=tries, wording=wording, warnings=warnings)


def advise_counts(
    counts: LabelCounts,
    *,
    student: int = 0,
    teacher: int = 1,
    tries: int = SHORTLIST,
    measured: Measured | None = None,
    wording: Wording | None = None,
) -> Advice:
    """What to do with two clients of whose data only the label counts are known.

    Args:
        counts: Of at least these two.
        student: Number of the client that learns, counted from 0.
        teacher: Number of the client that teaches.
        tries: At most so many settings are proposed.
        measured: The evidence; None for what ships with the package.
        wording: What the command to run names.

    Raises:
        InputError: When there are no two such clients.
    """
    last = len(counts.clients) - 1
    require(
        0 <= student <= last and 0 <= teacher <= last and student != teacher,
        f"student and teacher are two different clients from 0 to {last}",
        f"student={student}, teacher={teacher}",
        "Name the label counts of both.",
    )
    features = describe_counts(counts.told[student], counts.told[teacher])
    return advise_case(features, measured=measured, size=tries, wording=wording)


def _show_training_part(given: UserData) -> DataSet | Samples:
    """The samples a student would learn from, where `compare` looks for those to judge."""
    if given.class_names is None:
        return given.train
    return make_data_set(given.name, given.train, given.train, given.class_names)


def _describe_models(on_test: Comparison, on_own: Comparison) -> dict[str, float]:
    return {
        "student_accuracy": on_test.first.accuracy,
        "gap": on_test.second.accuracy - on_test.first.accuracy,
        "flips": on_test.complementary_share,
        "teacher_on_transfer": on_own.second.accuracy,
        "agreement": on_own.agreement,
        "teacher_confidence": on_own.second.confidence,
    }


def _check_counts(counts: ArrayLike, num_classes: int) -> np.ndarray:
    array = np.asarray(counts)
    fits = array.shape == (num_classes,) and array.dtype.kind in "iu" and array.min() >= 0 and array.sum() > 0
    require(
        bool(fits),
        f"teacher_counts has {num_classes} whole numbers >= 0, not all 0",
        f"{array.tolist()!r:.80}",
        "Give one number per class of the data, in their order.",
    )
    return array
