"""How logits travel: as they are, in half precision, or in 8 bits with a scale and an offset per row.

A packed table is a few tensors by name, a group of a message. 5,000 rows of 10 classes take 200 kB as
`float32`, 100 kB as `float16` and 90 kB as `int8`; with many classes `int8` nears a quarter of `float32`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from limbeck.federate.messages import State
from limbeck.federate.plan import LogitFormat

VALUES, SCALE, OFFSET = "values", "scale", "offset"

_LARGEST_STEP = 255
_ZERO_STEP = 128
_SMALLEST_SCALE = torch.finfo(torch.float32).tiny


def pack_logits(logits: Tensor, logit_format: LogitFormat) -> dict[str, Tensor]:
    """A table of logits, or of probabilities, as it travels.

    In `int8` a row from its least value a to its largest b becomes round((z - a) / s) - 128 with the step
    s = (b - a) / 255. Laws: `unpack_logits` gives back the same values from `float32`; values within one part
    in 2,048, or within 3e-8, from `float16`; values within half a step from `int8`. What is finite stays
    finite: values beyond the largest of `float16` become that.

    Args:
        logits: [rows, classes], float32.
        logit_format: How they travel.
    """
    if logit_format == "float32":
        return {VALUES: logits.float()}
    if logit_format == "float16":
        largest = torch.finfo(torch.float16).max
        return {VALUES: logits.clamp(-largest, largest).half()}
    return _quantise(logits.double())


def _quantise(logits: Tensor) -> dict[str, Tensor]:
    """A row of one value, or of none apart in float32, has step 0."""
    offset = logits.amin(dim=-1, keepdim=True)
    scale = (logits.amax(dim=-1, keepdim=True) - offset) / _LARGEST_STEP
    scale = scale.where(scale >= _SMALLEST_SCALE, 0.0).float()
    steps = ((logits - offset) / scale.double().where(scale > 0, 1.0)).round().clamp(0, _LARGEST_STEP)
    return {
        VALUES: (steps.nan_to_num() - _ZERO_STEP).to(torch.int8),
        SCALE: scale.squeeze(-1),
        OFFSET: offset.float().squeeze(-1),
    }


def unpack_logits(packed: State) -> Tensor:
    """The table that `pack_logits` packed, [rows, classes] in float32, in whichever format."""
    if SCALE not in packed:
        return packed[VALUES].float()
    scale, offset = packed[SCALE].double()[:, None], packed[OFFSET].double()[:, None]
    largest = torch.finfo(torch.float32).max
    return (offset + (packed[VALUES].double() + _ZERO_STEP) * scale).clamp(-largest, largest).float()


def packed_shapes(
    num_rows: int, num_classes: int, logit_format: LogitFormat
) -> Mapping[str, tuple[int, ...]]:
    """The names and shapes of the tensors of a packed table."""
    shapes: dict[str, tuple[int, ...]] = {VALUES: (num_rows, num_classes)}
    return {**shapes, SCALE: (num_rows,), OFFSET: (num_rows,)} if logit_format == "int8" else shapes
