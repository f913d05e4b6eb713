"""A classifier as one file for other programs: ONNX, or a PyTorch exported program.

Both take the same raw inputs as the classifier, uint8 images included, and prepare them themselves.
"""

import contextlib
import copy
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limbeck.core.errors import InputError, RunError, describe_error, require, require_known
from limbeck.core.files import write_atomically
from limbeck.models.adapt import count_positions
from limbeck.models.classifier import Classifier
from limbeck.models.libraries import require_library

FORMS = ("onnx", "torch")
INPUT, OUTPUT, TOKENS = "inputs", "logits", "input_ids"
BATCH, LENGTH = "batch", "length"


def export(
    classifier: Classifier, path: str | Path, *, example: Tensor | Mapping[str, Tensor], form: str
) -> None:
    """Write a classifier as a program that stands alone, for any batch size; the file is whole or absent.

    ONNX: images go in as ``inputs`` with the type and size of the example; tokens by column, such as
    ``input_ids``, without a tokenizer's id and of any length. Out come ``logits`` [batch, classes].
    The axes of open size are called ``batch`` and ``length``.
    PyTorch: the program of ``torch.export.load(path).module()`` takes the images, or a dict of those columns,
    and returns the logits.

    Args:
        classifier: Any; it stays as it is.
        path: The file, by convention .onnx or .pt2.
        example: A batch of raw inputs.
        form: `onnx` or `torch`.

    Raises:
        InputError: When the form is unknown, a library is missing, or the model does what cannot be exported.
        RunError: When the file cannot be written.
    """
    require_known("form", form, FORMS)
    if form == "onnx":
        require_library("onnx", extra="export")
        require_library("onnxscript", extra="export")
    with _explained(classifier, form):
        own = _own_inputs(classifier, example)
        program = _trace(classifier, own)
        content = _encode_program(program) if form == "torch" else _encode_onnx(program, own)
    with write_atomically(Path(path)) as temporary:
        temporary.write_bytes(content)


def _own_inputs(classifier: Classifier, example: Tensor | Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
    """At least two samples of what this classifier reads; one would be traced as the only size."""
    if isinstance(example, Tensor):
        return _at_least_two(example)
    return {name: _at_least_two(column) for name, column in classifier.pick_columns(example).items()}


def _at_least_two(values: Tensor) -> Tensor:
    require(len(values) > 0, "the example holds at least one sample", "0 samples", "Pass a batch.")
    return (torch.cat([values, values]) if len(values) == 1 else values).detach().cpu()


def _trace(classifier: Classifier, inputs: Tensor | dict[str, Tensor]) -> "torch.export.ExportedProgram":
    model = copy.deepcopy(classifier).cpu().eval()
    batch = torch.export.Dim(BATCH)
    axes: dict[int, Any] = {0: batch}
    if isinstance(inputs, dict) and TOKENS in inputs:
        longest = count_positions(classifier.module) or classifier.max_length
        axes[1] = torch.export.Dim(LENGTH, max=longest)
    shapes = axes if isinstance(inputs, Tensor) else dict.fromkeys(inputs, axes)
    with torch.no_grad():
        return torch.export.export(model, (inputs,), dynamic_shapes=(shapes,), strict=False)


def _encode_program(program: "torch.export.ExportedProgram") -> bytes:
    # Through memory, because torch warns of files whose temporary name does not end in .pt2.
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _encode_onnx(program: "torch.export.ExportedProgram", inputs: Tensor | dict[str, Tensor]) -> bytes:
    names = [INPUT] if isinstance(inputs, Tensor) else list(inputs)
    written = torch.onnx.export(program, dynamo=True, input_names=names, output_names=[OUTPUT], verbose=False)
    assert written is not None
    return _name_axes(written.model_proto, inputs=names, axes=(BATCH, LENGTH)).SerializeToString()


def _name_axes(model: Any, *, inputs: list[str], axes: tuple[str, ...]) -> Any:
    """The ONNX model with open axes called batch and length, which the exporter only numbers."""
    names: dict[str, str] = {}
    for value in model.graph.input:
        if value.name in inputs:
            open_axes = (axis.dim_param for axis in value.type.tensor_type.shape.dim)
            names |= {found: name for found, name in zip(open_axes, axes, strict=False) if found}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:  # possibly a formula of several sizes
                axis.dim_param = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), axis.dim_param)
    return model


@contextlib.contextmanager
def _explained(classifier: Classifier, form: str) -> Iterator[None]:
    """Turn an exporter's refusal, which may be any error, into one sentence."""
    try:
        yield
    except (InputError, RunError):
        raise
    except Exception as error:
        other = next(name for name in FORMS if name != form)
        raise InputError(
            f"A {type(classifier.module).__name__} must be traceable to be exported as `{form}`, but torch "
            "says: "
            f"{describe_error(error)}. Try `{other}`, or remove what depends on values from its forward."
        ) from error
