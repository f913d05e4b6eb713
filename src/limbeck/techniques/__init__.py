"""Ways to transfer knowledge, one file each."""

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType

from limbeck.core.errors import require, require_known
from limbeck.techniques.bi_kd import BI_KD
from limbeck.techniques.dist import DIST, DistSettings
from limbeck.techniques.dkd import DKD, DkdSettings
from limbeck.techniques.dml import DML
from limbeck.techniques.dp_kd import DP_KD, DP_KD_SEQUENTIAL, DP_KD_SOUP, DP_KD_UNSUPERVISED
from limbeck.techniques.finetune import FINETUNE
from limbeck.techniques.kd import KD
from limbeck.techniques.kd_confidence import KD_CONFIDENCE
from limbeck.techniques.kd_coverage import KD_COVERAGE
from limbeck.techniques.kd_mean_logits import KD_MEAN_LOGITS
from limbeck.techniques.nkd import NKD, NkdSettings
from limbeck.techniques.record import (
    AnySettings,
    ComposedTechnique,
    FrozenTechnique,
    MutualTechnique,
    Outputs,
    Settings,
    Target,
    Technique,
    list_coefficients,
)
from limbeck.techniques.self_kd import SELF_KD
from limbeck.techniques.standardized import standardize_technique

__all__ = [
    "TECHNIQUES",
    "AnySettings",
    "ComposedTechnique",
    "DistSettings",
    "DkdSettings",
    "FrozenTechnique",
    "MutualTechnique",
    "NkdSettings",
    "Outputs",
    "Settings",
    "Target",
    "Technique",
    "get_technique",
    "list_coefficients",
    "make_settings",
    "standardize_technique",
]

_ALL: tuple[Technique, ...] = (
    FINETUNE,
    KD,
    standardize_technique(KD, defaults=Settings(temperature=2, weight=0.5)),
    KD_MEAN_LOGITS,
    KD_CONFIDENCE,
    KD_COVERAGE,
    DKD,
    standardize_technique(DKD, defaults=DkdSettings(temperature=2, weight=0.5, alpha=1, beta=8)),
    DIST,
    NKD,
    SELF_KD,
    DML,
    BI_KD,
    DP_KD,
    DP_KD_UNSUPERVISED,
    DP_KD_SEQUENTIAL,
    DP_KD_SOUP,
)
TECHNIQUES: Mapping[str, Technique] = MappingProxyType({technique.name: technique for technique in _ALL})


def get_technique(name: str) -> Technique:
    """The technique called `name`.

    Raises:
        InputError: When there is none, with the nearest valid name.
    """
    require_known("technique", name, TECHNIQUES)
    return TECHNIQUES[name]


def make_settings(technique: Technique, changes: Mapping[str, float]) -> AnySettings | None:
    """A technique's defaults with `changes`.

    Args:
        technique: The technique.
        changes: New values by the name of a setting, such as ``{"temperature": 4}``.

    Returns:
        A record of the technique's own type, None when it has no settings.

    Raises:
        InputError: When the technique has no such setting, or a value is out of range.
    """
    if technique.defaults is None:
        require(
            not changes, f"`{technique.name}` has no settings", f"{dict(changes)}", "Leave the settings out."
        )
        return None
    names = [entry.name for entry in fields(technique.defaults)]
    for name in changes:
        require_known(f"setting of `{technique.name}`", name, names)
    return replace(technique.defaults, **changes)
