"""Label counts: how many samples of each class each client has, all that advice needs to know of its data.

**What noise promises.** `add_noise` adds to every count an integer N with P(N = n) proportional to
exp(-epsilon |n|), the discrete Laplace (two-sided geometric) distribution of scale 1 / epsilon, and raises
what falls below 0 to 0. Adding or removing one sample changes one count by 1, so the probability of any
output changes by a factor of at most exp(epsilon): the counts are epsilon-differentially private (replacing
a sample changes two counts: 2 epsilon). Names of classes and clients are not protected. Each call spends
epsilon anew.

References:
    Ghosh, Roughgarden and Sundararajan 2009, "Universally Utility-Maximizing Privacy Mechanisms",
        https://arxiv.org/abs/0811.2841, definition 2.3: the two-sided geometric mechanism.
    Canonne, Kamath and Steinke 2020, "The Discrete Gaussian for Differential Privacy",
        https://arxiv.org/abs/2004.00010, algorithm 1: a coin of probability exp(-x) without rounding.
"""

import csv
import io
import json
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.core.errors import InputError, describe_error, require
from limbeck.core.files import write_text

SMALLEST_EPSILON = 0.001
# A noisy count below so many noise scales is taken for an absent class: noise alone gets beyond it in fewer
# than 5 of 100.
FLOOR_SCALES = 3.0
REMEDY = (
    'Write {"CLIENT": {"CLASS": COUNT, ...}, ...} as JSON, or a CSV with the columns client,CLASS,CLASS,...'
)

RandbelowFn = Callable[[int], int]
"""A whole number drawn evenly from [0, n)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelCounts:
    """Samples per client and class.

    Attributes:
        clients: Names of the clients.
        class_names: Names of the classes.
        counts: int64 of shape [clients, classes], none below 0.
        epsilon: The noise that is in them, None for exact counts.
    """

    clients: tuple[str, ...]
    class_names: tuple[str, ...]
    counts: np.ndarray
    epsilon: float | None = None

    @property
    def told(self) -> np.ndarray:
        """The counts without those that noise alone may have made, int64 of the same shape.

        Law: every client keeps a sample, if only of its largest class.
        """
        if self.epsilon is None:
            return self.counts
        kept = np.where(self.counts >= FLOOR_SCALES / self.epsilon, self.counts, 0)
        largest = np.where(
            self.counts == self.counts.max(axis=1, keepdims=True), np.maximum(self.counts, 1), 0
        )
        return np.where(kept.sum(axis=1, keepdims=True) > 0, kept, largest)

    def to_dict(self) -> dict[str, Any]:
        """What a file of counts holds."""
        clients = {
            name: dict(zip(self.class_names, map(int, row), strict=True))
            for name, row in zip(self.clients, self.counts, strict=True)
        }
        return {"epsilon": self.epsilon, "clients": clients}


def read_counts(paths: Sequence[Path]) -> LabelCounts:
    """The counts in one or several files, client after client; a class that a file lacks counts 0 there.

    Args:
        paths: Files that `write_counts` wrote, JSON of a client's counts by class or of such mappings by
            client, or CSV with a column `client` and one per class.

    Raises:
        InputError: When a file cannot be read, holds anything but counts, or a client comes twice.
    """
    require(len(paths) > 0, "there is a file of counts", "none", "Name one with --counts.")
    found: dict[str, Mapping[str, int]] = {}
    epsilons: list[float] = []
    for path in paths:
        clients, epsilon = _read_file(Path(path))
        twice = sorted(set(clients) & set(found))
        require(not twice, "every client comes once", f"`{', '.join(twice)}` twice", "Rename or drop one.")
        found |= clients
        epsilons += [] if epsilon is None else [epsilon]
    class_names = list(dict.fromkeys(name for counts in found.values() for name in counts))
    table = np.array([[counts.get(name, 0) for name in class_names] for counts in found.values()], np.int64)
    empty = [name for name, row in zip(found, table, strict=True) if not row.any()]
    require(
        not empty or bool(epsilons),
        "every client has a sample",
        f"none for `{', '.join(empty)}`",
        "Leave it out, or correct its counts.",
    )
    # The noisiest of the files decides what can be told from noise.
    return LabelCounts(
        clients=tuple(found),
        class_names=tuple(class_names),
        counts=table,
        epsilon=min(epsilons, default=None),
    )


def count_labels(labels: np.ndarray, class_names: Sequence[str], *, client: str) -> LabelCounts:
    """The counts of one client's labels, an int array of shape [samples]."""
    counts = np.bincount(labels, minlength=len(class_names))[None].astype(np.int64)
    return LabelCounts(clients=(client,), class_names=tuple(class_names), counts=counts)


def add_noise(
    counts: LabelCounts, epsilon: float, *, randbelow: RandbelowFn = secrets.randbelow
) -> LabelCounts:
    """The counts with noise that makes them epsilon-differentially private; see the head of this file.

    Args:
        counts: Exact counts.
        epsilon: At least `SMALLEST_EPSILON`; smaller means more noise. Its scale is 1 / epsilon.
        randbelow: Where randomness comes from; the operating system's by default, which no seed repeats.

    Raises:
        InputError: When epsilon is out of range, or the counts are noisy already.
    """
    require(
        math.isfinite(epsilon) and epsilon >= SMALLEST_EPSILON,
        f"epsilon >= {SMALLEST_EPSILON:g}",
        f"epsilon={epsilon:g}",
        "Use for example 1: most counts then change by no more than 2.",
    )
    require(
        counts.epsilon is None,
        "noise is added to exact counts",
        f"counts with the noise of epsilon={counts.epsilon}",
        "Add it once, at the site that has the samples.",
    )
    rate = Fraction(epsilon)
    noise = [[_draw_laplace(rate, randbelow) for _ in row] for row in counts.counts]
    return replace(counts, counts=np.maximum(counts.counts + np.array(noise, np.int64), 0), epsilon=epsilon)


def write_counts(counts: LabelCounts, path: Path) -> None:
    """Write counts as JSON that `read_counts` reads back.

    Raises:
        RunError: When the disk refuses.
    """
    write_text(path, json.dumps(counts.to_dict(), indent=2) + "\n")


def _draw_laplace(rate: Fraction, randbelow: RandbelowFn) -> int:
    """The difference of two geometric draws, which is discrete Laplace of scale 1 / rate."""
    return _draw_geometric(rate, randbelow) - _draw_geometric(rate, randbelow)


def _draw_geometric(rate: Fraction, randbelow: RandbelowFn) -> int:
    """How often a coin of probability exp(-rate) shows heads before the first tails."""
    heads = 0
    while _toss(rate, randbelow):
        heads += 1
    return heads


def _toss(rate: Fraction, randbelow: RandbelowFn) -> bool:
    """True with probability exp(-rate), exactly: no logarithm is rounded."""
    while rate > 1:
        if not _toss(Fraction(1), randbelow):
            return False
        rate -= 1
    draw = 1
    # exp(-x) is the probability that the first failure of coins x/1, x/2, x/3, ... has an odd number.
    while randbelow(rate.denominator * draw) < rate.numerator:
        draw += 1
    return draw % 2 == 1


def _read_file(path: Path) -> tuple[dict[str, Mapping[str, int]], float | None]:
    """Counts by client and class, and the noise that is in them."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"`{path}` must be a readable file of label counts, but: {describe_error(error)}. Check the path."
        ) from error
    if path.suffix.lower() == ".csv":
        return _parse_csv(text, path), None
    return _parse_json(text, path)


def _parse_json(text: str, path: Path) -> tuple[dict[str, Mapping[str, int]], float | None]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"`{path}` must be JSON or end in .csv, but: {error}. {REMEDY}") from error
    _check(isinstance(content, dict) and len(content) > 0, path, _name(content))
    epsilon = None
    if content.keys() == {"epsilon", "clients"}:
        content, epsilon = content["clients"], content["epsilon"]
        is_epsilon = epsilon is None or (isinstance(epsilon, float | int) and epsilon > 0)
        _check(is_epsilon and isinstance(content, dict) and len(content) > 0, path, f"epsilon={epsilon!r}")
    if not any(isinstance(counts, dict) for counts in content.values()):
        content = {path.stem: content}
    return {str(name): _check_counts(counts, path) for name, counts in content.items()}, epsilon


def _parse_csv(text: str, path: Path) -> dict[str, Mapping[str, int]]:
    rows = [row for row in csv.reader(io.StringIO(text)) if any(map(str.strip, row))]
    _check(len(rows) > 1 and rows[0][0].strip() == "client", path, f"the first row {rows[:1]}")
    class_names = [name.strip() for name in rows[0][1:]]
    _check(len(set(class_names)) == len(class_names) > 0, path, "a class without a name of its own")
    found: dict[str, Mapping[str, int]] = {}
    for name, *cells in rows[1:]:
        _check(len(cells) == len(class_names), path, f"{len(cells)} counts for `{name}`")
        _check(name.strip() not in found, path, f"`{name}` twice")
        values = [int(cell) if cell.strip().isdecimal() else cell for cell in cells]
        found[name.strip()] = _check_counts(dict(zip(class_names, values, strict=True)), path)
    return found


def _check_counts(counts: Any, path: Path) -> Mapping[str, int]:
    _check(isinstance(counts, dict) and len(counts) > 0, path, _name(counts))
    for name, value in counts.items():
        is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
        _check(is_count, path, f"{name}={value!r}")
    return counts


def _check(holds: bool, path: Path, value: str) -> None:
    require(holds, f"`{path}` holds whole numbers of samples >= 0 by client and class", value, REMEDY)


def _name(content: Any) -> str:
    return "nothing" if content in ({}, []) else f"{type(content).__name__} {content!r:.40}"
