"""Classes by name: where the classes of models and data that were made apart meet."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch

from limbeck.core.errors import enumerate_words, require, require_known
from limbeck.data import Samples

ClassMap = Mapping[str, str]
"""Names of other parties to the student's names, such as ``{"automobile": "car"}``."""

MOST_NAMED = 5


def count_up(num_classes: int) -> tuple[str, ...]:
    """The names of classes without names: 0, 1, 2 and so on."""
    return tuple(map(str, range(num_classes)))


def find_names(
    own: Sequence[str] | None, candidates: Sequence[Sequence[str]], *, num_classes: int, whose: str
) -> tuple[str, ...]:
    """A model's class names: its own, else the first of the candidates that are as many as its logits.

    Candidates that only count (0, 1, 2 ...) do not say how many classes there are: a model with more logits
    than they count to goes on counting.

    Raises:
        InputError: When none fits, or its own are not as many as its logits.
    """
    offered = [own] if own is not None else list(candidates)
    fitting = next((names for names in offered if len(names) == num_classes), None)
    if fitting is not None:
        return tuple(fitting)
    counts_on = own is None and any(
        tuple(names) == count_up(len(names)) and len(names) < num_classes for names in candidates
    )
    require(
        counts_on,
        f"{whose} has one name per class",
        f"{num_classes} logits and {enumerate_words(sorted({len(names) for names in offered}))} names",
        "Name its classes in the order of its logits (`class_names`, on the command line `--classes`).",
    )
    return count_up(num_classes)


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


def check_class_map(class_map: ClassMap, *, others: Sequence[str], names: Sequence[str]) -> None:
    """Check that a map takes names that exist to names that exist.

    Args:
        class_map: The map.
        others: Names of the other parties before renaming.
        names: The names they are taken to.

    Raises:
        InputError: When a name is unknown, with the nearest one.
    """
    for other, name in class_map.items():
        require_known("class to rename", other, set(others))
        require_known("class to rename to", name, names)


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
        InputError: When none is left, or a label has no name.
    """
    highest = int(samples.labels.max())
    require(
        highest < len(names),
        f"labels of the {part} data < {len(names)}, the number of classes",
        f"label {highest}",
        "Renumber the labels, or name every class.",
    )
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
    warning = f"The student has no class {name_some(lost)}: {left_out:,} {part} samples are left out."
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
