"""The folder of a transfer: the new student, its card, the record and the report."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import RunError, require
from limbeck.core.files import explain_disk_errors, write_text

if TYPE_CHECKING:
    from limbeck.data import DataSet
    from limbeck.models import Card, Classifier
    from limbeck.pairs import TransferRecord

RECORD_FILE = "record.json"
REPORT_FILE = "report.html"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"
EXPORT_FILES = {"onnx": "model.onnx", "torch": "model.pt2"}
# What transformers keeps beside the weights of its models.
TRANSFORMERS_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
OWN_FILES = (CARD_FILE, WEIGHTS_FILE, REPORT_FILE, *EXPORT_FILES.values(), *TRANSFORMERS_FILES)
EXAMPLES = 2


def check_folder(folder: Path, models: Sequence[str]) -> None:
    """Refuse a folder whose content is no former transfer's or search's, or that holds one of the models.

    Raises:
        InputError: When writing there would destroy something.
    """
    is_folder = folder.is_dir()
    require(
        is_folder or not folder.exists(), "--out is a folder", f"the file `{folder}`", "Choose another name."
    )
    is_ours = not is_folder or (folder / RECORD_FILE).exists() or not any(folder.iterdir())
    require(
        is_ours,
        "--out is new, empty or a former run's",
        f"`{folder}`, which holds other files",
        "Choose another folder.",
    )
    place = folder.resolve()
    taken = [model for model in models if place in (Path(model).resolve(), Path(model).resolve().parent)]
    require(
        not (is_folder and taken),
        "--out is not the folder of one of the models",
        f"`{folder}`, which holds `{next(iter(taken), '')}`",
        "Choose another folder, so that the model stays.",
    )


@contextmanager
def open_folder(folder: Path) -> Iterator[None]:
    """Make the folder before anything is computed; where the block fails, take away what stayed empty.

    Raises:
        RunError: When nothing can be written there.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    with explain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise RunError(f"`{folder}` must be writable, but it is not. Choose another folder.")
    try:
        yield
    except BaseException:
        for place in made:
            with suppress(OSError):  # it holds something
                place.rmdir()
        raise


def write_folder(
    folder: Path,
    student: "Classifier",
    record: "TransferRecord",
    data: "DataSet",
    *,
    parents: Sequence[str],
) -> Path:
    """Replace what a former transfer left by the new student, its card, the record and the report.

    Returns:
        The report's path.

    Raises:
        RunError: When a file cannot be written.
    """
    from limbeck import report

    card = save_student(folder, student, record, data, content=record.to_dict(), parents=parents)
    return report.build_transfer_page(record, folder / REPORT_FILE, weights=folder / WEIGHTS_FILE, card=card)


def save_student(
    folder: Path,
    student: "Classifier",
    record: "TransferRecord",
    data: "DataSet",
    *,
    content: Mapping[str, Any],
    parents: Sequence[str],
) -> "Card":
    """Replace what a former run left by `content` as its record, the new student and its card.

    The record comes first: it marks the folder as ours, should the rest be interrupted.

    Returns:
        The card.

    Raises:
        RunError: When a file cannot be written.
    """
    from limbeck import models

    with explain_disk_errors(folder):
        for name in OWN_FILES:
            (folder / name).unlink(missing_ok=True)
    write_text(folder / RECORD_FILE, json.dumps(content, indent=2) + "\n")
    return models.save_classifier(
        models.adapt(student, class_names=record.class_names),
        folder,
        training=describe_training(record),
        accuracies=list_accuracies(record),
        data_fingerprint=record.data_fingerprint,
        input_shape=data.input_shape,
        parents=tuple(parents),
    )


def describe_training(record: "TransferRecord") -> dict[str, Any]:
    """How the student was made, for its card."""
    attempt = record.attempt
    return {
        **record.training,
        "technique": attempt.technique,
        "settings": attempt.settings,
        "kept_epoch": attempt.kept_epoch,
        "seed": record.seed,
    }


def list_accuracies(record: "TransferRecord") -> dict[str, float]:
    """What the new student gets right, by part of the data, for its card."""
    attempt = record.attempt
    return {
        "validation": attempt.validation[attempt.kept_epoch],
        record.measured_on: attempt.change.accuracy_after,
    }


def hash_models(classifiers: Sequence["Classifier"]) -> list[str]:
    """The ids of models by their weights, as cards have them."""
    from limbeck.core.fingerprint import hash_state

    return [hash_state(classifier.module.state_dict()) for classifier in classifiers]


def export_student(folder: Path, student: "Classifier", data: "DataSet", *, form: str) -> Path:
    """Write the student as a program for others, made for inputs like those of `data`.

    Raises:
        InputError: When the student cannot be exported.
        RunError: When the file cannot be written.
    """
    import torch

    from limbeck.data import Texts, load_batch, take_samples
    from limbeck.models import encode_texts, export

    samples = take_samples(data.train.inputs, range(min(EXAMPLES, len(data.train))))
    if isinstance(samples, Texts):
        example = encode_texts([student], samples.strings)
    else:
        example = load_batch(samples, torch.arange(len(samples)), "cpu")
    path = folder / EXPORT_FILES[form]
    export(student, path, example=example, form=form)
    return path
