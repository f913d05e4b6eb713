"""Names and numbers as a reader sees them: the words of every table, sentence and plot."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

MINUS = "\N{MINUS SIGN}"
ABSENT = "\N{EN DASH}"

TECHNIQUE_LABELS = {
    "finetune": "finetune",
    "kd": "KD",
    "tuned-kd": "tuned KD",
    "kd-standardized": "KD standardized",
    "kd-mean-logits": "KD mean logits",
    "kd-confidence": "KD confidence",
    "kd-coverage": "KD coverage",
    "dkd": "DKD",
    "dkd-standardized": "DKD standardized",
    "dist": "DIST",
    "nkd": "NKD",
    "self-kd": "self-KD",
    "dml": "DML",
    "bi-kd": "Bi-KD",
    "dp-kd": "DP-KD",
    "dp-kd-unsupervised": "DP-KD unsup.",
    "dp-kd-sequential": "DP-KD sequential",
    "dp-kd-soup": "DP-KD soup",
}
START_LABELS = {
    "scratch": "scratch",
    "best-client": "best client",
    "weight-average": "weight average",
    "refit": "refit",
    "hub": "hub",
    "chain": "chain",
    "mesh": "mesh",
    "mesh-refit": "mesh and refit",
    "ensemble": "ensemble",
}


def label_technique(technique: str) -> str:
    """The technique's name for a reader, such as ``tuned KD``."""
    return TECHNIQUE_LABELS.get(technique, technique)


def label_start(start: str) -> str:
    """The federated start's name for a reader, such as ``weight average``."""
    return START_LABELS.get(start, start)


def order_known(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The distinct `names`: first those of `known` in its order, then the others by alphabet."""
    distinct = set(names)
    return [name for name in known if name in distinct] + sorted(distinct.difference(known))


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number."""
    return value is not None and math.isfinite(value)


def text_points(fraction: float | None) -> str:
    """A signed difference of two accuracies in percentage points, such as ``+3.2``."""
    return text_signed(None if fraction is None else 100 * fraction, 1)


def text_spread(mean: float | None, sd: float | None) -> str:
    """A mean difference with its standard deviation in points: ``+3.2 ± 0.4``, without `sd` ``+3.2``."""
    if not is_number(mean) or not is_number(sd):
        return text_points(mean)
    return f"{text_points(mean)} ± {100 * (sd or 0.0):.1f}"


def text_interval(low: float | None, high: float | None) -> str:
    """An interval of differences in points, such as ``+0.4 to +2.1``."""
    if not is_number(low) or not is_number(high):
        return ABSENT
    return f"{text_points(low)} to {text_points(high)}"


def text_signed(value: float | None, decimals: int) -> str:
    """A number with its sign; a value that rounds to zero has none."""
    if value is None or not math.isfinite(value):
        return ABSENT
    digits = f"{abs(value):.{decimals}f}"
    if float(digits) == 0:
        return digits
    return f"{'+' if value > 0 else MINUS}{digits}"


def text_percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction as a percentage with a narrow space, such as ``71.4 %``."""
    if fraction is None or not math.isfinite(fraction):
        return ABSENT
    return f"{100 * fraction:.{decimals}f}\N{NARROW NO-BREAK SPACE}%"


def text_number(value: float | None, decimals: int) -> str:
    """A number without a sign of its own, such as a divergence."""
    return ABSENT if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def text_plain(value: float | None) -> str:
    """A setting such as a temperature or weight, without needless zeros."""
    return f"{value:g}" if value is not None and math.isfinite(value) else ABSENT


def text_rounds(value: float | None) -> str:
    """A mean or median number of rounds, with one decimal unless it is whole."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def text_bytes(num_bytes: float | None) -> str:
    """An amount of data with a decimal unit, such as ``12.4 MB``."""
    if num_bytes is None or not math.isfinite(num_bytes):
        return ABSENT
    amount = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def text_seconds(seconds: float | None) -> str:
    """A duration, such as ``0.8 s``, ``250 s``, ``14 min 10 s`` or ``2 h 5 min``."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def text_count(number: int, noun: str) -> str:
    """A count with its noun in the right number: ``1 seed``, ``3 seeds``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def text_moment(text: str) -> str:
    """An ISO 8601 moment as a reader writes it, such as ``2026-03-01 09:30 UTC``; other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = "" if moment.tzinfo is None else f" {moment.tzname()}"
    return f"{moment:%Y-%m-%d %H:%M}{zone}"


def shorten(text: str, length: int) -> str:
    """`text` in at most `length` characters, the last one a dot-dot-dot where something is missing."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def shorten_middle(text: str, length: int) -> str:
    """`text` in at most `length` characters, its end kept, which is where related names differ."""
    if len(text) <= length:
        return text
    kept_end = (length - 1) // 3
    return f"{text[: length - 1 - kept_end]}…{text[-kept_end:]}"
