"""Getting ready: models of any kind on one device, and inputs that all of them take."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbeck.core.errors import InputError, describe_error, require
from limbeck.data import Inputs, Texts, Tokens, count_samples, load_batch
from limbeck.engine import device_of
from limbeck.models import Classifier, adapt, encode_texts

# Of the memory that is free on an accelerator, inputs may take this share; the rest is for training.
RESIDENT_SHARE = 0.3
PROBED = 64
CHANCE_MARGIN = 1.5


def prepare_model(model: nn.Module, device: torch.device) -> Classifier:
    """A model as a classifier on `device`; the model that was given stays where and what it is."""
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
            "input size (`--input-size`), or bring the data to the shape it was trained on."
        ) from error


def warn_of_probabilities(logits: Tensor, *, whose: str) -> tuple[str, ...]:
    """A sentence when every row looks like probabilities."""
    sums = logits.sum(dim=1)
    if not bool((logits >= 0).all() and (sums - 1).abs().max() < 1e-3):
        return ()
    return (
        f"{whose} seems to return probabilities instead of logits: every row is at least 0 and sums to 1. "
        "Remove its last softmax, or take the logarithm of its output.",
    )


def warn_of_chance(accuracy: float, *, num_classes: int, whose: str) -> tuple[str, ...]:
    """A sentence when a model does hardly better than guessing."""
    if accuracy >= CHANCE_MARGIN / num_classes:
        return ()
    return (
        f"{whose} is right on {accuracy:.1%} of the samples, near chance ({1 / num_classes:.1%}). Check its "
        "normalization (`--normalize`), its input size (`--input-size`) and the order of its classes "
        "(`--classes`).",
    )
