"""Getting ready: models of any kind on one device, and inputs that all of them take."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.core.errors import InputError, describe_error, require
from limbeck.data import Inputs, Texts, Tokens, count_samples, load_batch
from limbeck.engine import device_of
from limbeck.models import Classifier, adapt, encode_texts, measure_truncation

# Of the memory that is free on an accelerator, inputs may take this share; the rest is for training.
RESIDENT_SHARE = 0.3
PROBED = 64
CHANCE_MARGIN = 1.5
IMAGE_ADVICE = (
    "Check its normalization (`normalize`, on the command line `--normalize`), its input size (`input_size`, "
    "`--input-size`) and the order of its classes (`class_names`, `--classes`)."
)
TEXT_ADVICE = (
    "Check its tokenizer and the order of its classes (`class_names`, on the command line `--classes`)."
)


def prepare_model(model: object, device: torch.device, *, whose: str) -> Classifier:
    """A model as a classifier on `device`; the model that was given stays where and what it is.

    Raises:
        InputError: When it is no module.
    """
    if not isinstance(model, nn.Module):
        raise InputError(
            f"{whose} must be a torch module, but got a {type(model).__name__}. "
            "Load it first: `limbeck.models.load_classifier(path)` reads folders and checkpoints."
        )
    classifier = adapt(model)
    if device_of(classifier) == device:
        return classifier
    return copy.deepcopy(classifier).to(device)


def prepare_inputs(inputs: Inputs, classifiers: Sequence[Classifier], device: torch.device) -> Inputs:
    """Inputs that every classifier takes: texts are tokenized, and what fits moves to the device."""
    if isinstance(inputs, Texts):
        inputs = Tokens(columns=encode_texts(classifiers, inputs.strings))
    if isinstance(inputs, Tokens):
        return inputs.to(device)
    if isinstance(inputs, Tensor) and _fits(inputs, device):
        return inputs.to(device)
    return inputs


def _fits(inputs: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return inputs.numel() * inputs.element_size() < RESIDENT_SHARE * free_bytes


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What the first samples show of a model.

    Attributes:
        num_classes: Number of its logits.
        warnings: What looks wrong, one sentence each.
    """

    num_classes: int
    warnings: tuple[str, ...]


@torch.inference_mode()
def probe_model(classifier: Classifier, inputs: Inputs, *, whose: str) -> Probe:
    """Ask a model about the first samples: how many classes has it, and are its outputs logits?

    Raises:
        InputError: When the model does not take the inputs, or its outputs are not finite.
    """
    was_training = classifier.training
    classifier.eval()
    ids = torch.arange(min(PROBED, count_samples(inputs)))
    batch = load_batch(inputs, ids, device_of(classifier))
    logits = _call(classifier, batch, whose=whose).float()
    classifier.train(was_training)
    num_broken = int((~torch.isfinite(logits).all(dim=1)).sum())
    require(
        num_broken == 0,
        "logits are finite",
        f"NaN or infinity from {whose} on {num_broken} of the first {len(logits)} samples",
        "Check its weights and its normalization.",
    )
    return Probe(num_classes=logits.shape[1], warnings=warn_of_probabilities(logits, whose=whose))


def _call(classifier: Classifier, batch: Tensor | dict[str, Tensor], *, whose: str) -> Tensor:
    try:
        return classifier(batch)
    except InputError:
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        # The model's own code refuses a size, a number of channels, or a kind of input.
        tensors = batch if isinstance(batch, dict) else {"inputs": batch}
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise InputError(
            f"{whose} must take the samples, but it refuses {shapes} ({describe_error(error)}). Set its "
            "input size (`input_size`, on the command line `--input-size`), or bring the data to the shape "
            "it was trained on."
        ) from error


def warn_of_cut_texts(
    inputs: Inputs, classifiers: Sequence[Classifier], names: Sequence[str]
) -> tuple[str, ...]:
    """Per tokenizer that cuts texts a sentence with their share; none for other inputs than texts."""
    if not isinstance(inputs, Texts):
        return ()
    shares = measure_truncation(classifiers, inputs.strings)
    # Reversed, so that of equal tokenizers the first is named.
    readers = reversed(list(zip(classifiers, names, strict=True)))
    return tuple(
        f"{shares[key]:.0%} of the texts are longer than the {model.max_length} tokens that {name} reads, "
        "and were cut. Raise `max_length` (on the command line `--max-length`)."
        for key, (model, name) in {model.tokenizer_id: (model, name) for model, name in readers}.items()
        if key is not None and shares[key] > 0
    )


def warn_of_probabilities(logits: Tensor, *, whose: str) -> tuple[str, ...]:
    """A sentence when every row looks like probabilities."""
    sums = logits.sum(dim=1)
    if not bool((logits >= 0).all() and (sums - 1).abs().max() < 1e-3):
        return ()
    return (
        f"{whose} seems to return probabilities instead of logits: every row is at least 0 and sums to 1. "
        "Remove its last softmax, or take the logarithm of its output.",
    )


def warn_of_chance(
    predictions: np.ndarray,
    labels: np.ndarray,
    columns: Sequence[int | None],
    *,
    whose: str,
    model: Classifier,
) -> tuple[str, ...]:
    """A sentence when a model does hardly better than guessing on the samples of the classes it has.

    Args:
        predictions: Class per sample.
        labels: True class per sample.
        columns: Per class of the samples the model's, None where it has none.
        whose: The model's name.
        model: The model, for advice that fits its kind.
    """
    known = [index for index, column in enumerate(columns) if column is not None]
    is_known = np.isin(labels, known)
    if not known or not is_known.any():
        return ()
    accuracy, chance = float(np.mean(predictions[is_known] == labels[is_known])), 1 / len(known)
    if accuracy >= CHANCE_MARGIN * chance or chance == 1:
        return ()
    advice = TEXT_ADVICE if model.tokenizer is not None else IMAGE_ADVICE
    of_all = "the samples" if is_known.all() else "the samples of its classes"
    return (f"{whose} is right on {accuracy:.1%} of {of_all}, near chance ({chance:.1%}). {advice}",)
