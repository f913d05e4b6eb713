"""Classes by name: where the classes of models and data that were made apart meet."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch

from limbeck.core.errors import enumerate_words, require
from limbeck.data import Samples

ClassMap = Mapping[str, str]
"""Names of other parties to the student's names, such as ``{"automobile": "car"}``."""

MOST_NAMED = 5


def rename_classes(names: Sequence[str], class_map: ClassMap) -> tuple[str, ...]:
    """The names with those of the map replaced.

    Raises:
        InputError: When two classes would have one name.
    """
    renamed = tuple(class_map.get(name, name) for name in names)
    repeated = sorted({name for name in renamed if renamed.count(name) > 1})
    require(
        not repeated,
        "every class keeps a name of its own",
        f"two classes called {enumerate_words(repeated)} after renaming",
        "Map at most one name to each.",
    )
    return renamed


def agree_on_names(
    own: Sequence[str] | None, others: Sequence[str], *, num_classes: int, whose: str
) -> tuple[str, ...]:
    """A model's class names; without any of its own, those of `others` when they are as many.

    Raises:
        InputError: When it has no names and another number of classes, or names and logits differ in number.
    """
    names = others if own is None else own
    require(
        len(names) == num_classes,
        f"{whose} has one name per class",
        f"{num_classes} logits and {len(names)} names",
        "Name its classes in the order of its logits (`class_names`, on the command line `--classes`).",
    )
    return tuple(names)


def find_columns(names: Sequence[Hashable], others: Sequence[Hashable]) -> tuple[int | None, ...]:
    """For each of `names` its place among `others`, None where it is not there."""
    places = {name: place for place, name in enumerate(others)}
    return tuple(places.get(name) for name in names)


def name_some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    if len(names) <= MOST_NAMED:
        return enumerate_words(names)
    return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"


def relabel(
    samples: Samples, names: Sequence[str], student_names: Sequence[str], *, part: str
) -> tuple[Samples, tuple[str, ...]]:
    """The samples with the student's class numbers, and a warning about those it has no class for.

    These are left out.

    Raises:
        InputError: When none is left.
    """
    if tuple(names) == tuple(student_names):
        return samples, ()
    places = np.array([-1 if place is None else place for place in find_columns(names, student_names)])
    labels = places[samples.labels.cpu().numpy()]
    kept = np.flatnonzero(labels >= 0)
    require(
        len(kept) > 0,
        f"the student has a class of the {part} data",
        f"{name_some(names)} in the data, {name_some(student_names)} in the student",
        "Map the data's class names to the student's (`class_map`, on the command line `--class-map`).",
    )
    chosen = samples if len(kept) == len(samples) else samples.subset(kept)
    renumbered = Samples(inputs=chosen.inputs, labels=torch.from_numpy(labels[kept]))
    lost = [name for name, place in zip(names, places, strict=True) if place < 0]
    left_out = len(samples) - len(kept)
    warning = f"The student has no class {name_some(lost)}: {left_out} {part} samples are left out."
    return renumbered, (warning,) if left_out else ()


def describe_columns(
    columns: Sequence[int | None], student: Sequence[str], teacher: Sequence[str], *, whose: str
) -> tuple[str, ...]:
    """What student and teacher lack of each other's classes, one sentence each."""
    lacking = [name for name, column in zip(student, columns, strict=True) if column is None]
    extra = [name for name in teacher if name not in set(student)]
    sentences = []
    if lacking:
        sentences.append(
            f"{whose} has no class {name_some(lacking)}: of these the student keeps its own opinion."
        )
    if extra:
        sentences.append(
            f"The student has no class {name_some(extra)}: what {whose} knows of it is not used."
        )
    return tuple(sentences)
