"""Ways to transfer knowledge, one file each."""

from collections.abc import Mapping
from types import MappingProxyType

from limbeck.core.errors import require_known
from limbeck.techniques.dml import DML
from limbeck.techniques.dp_kd import DP_KD, DP_KD_UNSUPERVISED
from limbeck.techniques.finetune import FINETUNE
from limbeck.techniques.kd import KD
from limbeck.techniques.record import FrozenTechnique, MutualTechnique, Outputs, Settings, Target, Technique

__all__ = [
    "TECHNIQUES",
    "FrozenTechnique",
    "MutualTechnique",
    "Outputs",
    "Settings",
    "Target",
    "Technique",
    "get_technique",
]

TECHNIQUES: Mapping[str, Technique] = MappingProxyType(
    {technique.name: technique for technique in (FINETUNE, KD, DML, DP_KD, DP_KD_UNSUPERVISED)}
)


def get_technique(name: str) -> Technique:
    """The technique called `name`.

    Raises:
        InputError: When there is none, with the nearest valid name.
    """
    require_known("technique", name, TECHNIQUES)
    return TECHNIQUES[name]
