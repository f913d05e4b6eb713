"""A classifier of any architecture on disk: weights, card and what its library needs to build it.

The weights stay plain: ``model.load_state_dict(safetensors.torch.load_file("FOLDER/model.safetensors"))``
restores them into the user's own model without limbeck. A transformers model's config and tokenizer lie
beside them under the names transformers gives them, so that its `from_pretrained` reads the same folder.
"""

import copy
import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from limbeck.core.errors import InputError
from limbeck.core.files import explain_disk_errors, write_atomically, write_text
from limbeck.data import Normalization
from limbeck.models.adapt import OWN_CONFIG, adapt
from limbeck.models.architectures import FILE, build_for_state, split_reference
from limbeck.models.card import WEIGHTS_FILE, Card, read_card, read_saved_weights, save
from limbeck.models.classifier import Classifier
from limbeck.models.preprocessing import Preprocessing
from limbeck.models.shapes import seen_shape
from limbeck.models.transformers_folder import CONFIG_FILE, read_tokenizer
from limbeck.models.weights import load_weights


def save_classifier(
    classifier: Classifier,
    folder: Path,
    *,
    training: dict[str, Any],
    accuracies: dict[str, float],
    data_fingerprint: str,
    input_shape: tuple[int, ...],
    parents: tuple[str, ...] = (),
    class_names: tuple[str, ...] | None = None,
) -> Card:
    """Write a classifier into `folder`, each file whole or not at all, the card last.

    Args:
        classifier: Any; where its `arch` is None, loading needs the model or its architecture.
        folder: Made when missing.
        training: The settings it was trained with.
        accuracies: By name, fractions in [0, 1].
        data_fingerprint: Of the data it was trained on.
        input_shape: Of one sample; empty for texts.
        parents: Ids of the models it was made from.
        class_names: Name of each logit, in order, for a classifier that has none of its own.

    Returns:
        The card as written.

    Raises:
        RunError: When the folder cannot be written.
    """
    normalization = classifier.preprocessing.normalization
    names = class_names if classifier.class_names is None else classifier.class_names
    card = Card(
        arch=classifier.arch,
        input_shape=tuple(input_shape),
        input_size=classifier.preprocessing.input_size,
        max_length=None if classifier.tokenizer is None else classifier.max_length,
        class_names=tuple(names or ()),
        mean=() if normalization is None else normalization.mean,
        std=() if normalization is None else normalization.std,
        data_fingerprint=data_fingerprint,
        training=training,
        accuracies=accuracies,
        parents=tuple(parents),
    )
    if classifier.arch == OWN_CONFIG:
        write_text(folder / CONFIG_FILE, _describe_config(classifier.module, names) + "\n")
    if classifier.tokenizer is not None:
        _write_tokenizer(classifier.tokenizer, folder)
    return save(classifier.module, card, folder)


def _describe_config(module: nn.Module, class_names: tuple[str, ...] | None) -> str:
    """The transformers config as JSON, naming the model's class and, where they are known, the classes."""
    config: Any = copy.deepcopy(module.config)
    config.architectures = [type(module).__name__]
    if class_names is not None:
        config.id2label = dict(enumerate(class_names))
        config.label2id = {name: number for number, name in enumerate(class_names)}
    return config.to_json_string().rstrip()


def _write_tokenizer(tokenizer: Any, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        with explain_disk_errors(Path(scratch)):
            tokenizer.save_pretrained(scratch)
        for file in sorted(Path(scratch).iterdir()):
            with write_atomically(folder / file.name) as temporary:
                temporary.write_bytes(file.read_bytes())


def load_saved(
    folder: Path,
    *,
    arch: str | None = None,
    module: nn.Module | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> tuple[Classifier, tuple[int, ...] | None]:
    """The classifier that `save_classifier` or `save` wrote, in evaluation mode on the CPU.

    Args:
        folder: Where its card is.
        arch: Architecture to build instead of the card's; needed where that is a user's file, which is not
            run just because a card names it.
        module: The model to load the weights into instead.
        input_shape: Shape of one sample, for a card that has none.

    Returns:
        The classifier, and what it saw of one sample where that is known (see `Built`).

    Raises:
        InputError: When a file is missing or damaged, or the architecture is unknown or does not fit the
            weights.
    """
    card = read_card(folder)
    state = read_saved_weights(folder, card)
    ref = arch or card.arch
    preprocessing = Preprocessing(
        normalization=Normalization(mean=card.mean, std=card.std) if card.mean else None,
        input_size=card.input_size,
    )
    trained = None
    if module is not None:
        load_weights(module, state, source=folder / WEIGHTS_FILE)
    else:
        ref = _require_architecture(card, arch, folder=folder)
        own = f"hf:{folder}" if ref == OWN_CONFIG else ref
        shape = seen_shape(card.input_shape or input_shape, preprocessing)
        built = build_for_state(own, state, source=folder / WEIGHTS_FILE, input_shape=shape)
        module, trained = built.module, built.shape
    known = adapt(module)
    reads_text = card.max_length is not None
    classifier = Classifier(
        module,
        class_names=card.class_names or None,
        preprocessing=preprocessing,
        arch=known.arch if known.arch == OWN_CONFIG else ref,
        tokenizer=read_tokenizer(folder) if reads_text else None,
        max_length=card.max_length or known.max_length,
    ).eval()
    return classifier, trained


def _require_architecture(card: Card, arch: str | None, *, folder: Path) -> str:
    """The architecture to build: the one given, else the card's where that names no code."""
    if arch is not None:
        return arch
    if card.arch is None:
        raise InputError(
            f"The architecture of `{folder}` must be given, because it was made in Python and its card names "
            "none. "
            "Pass `--arch path/to/file.py:function`, or module=... from Python."
        )
    if split_reference(card.arch)[0] == FILE:
        raise InputError(
            f"The architecture of `{folder}` must be given, because its card names code (`{card.arch}`), "
            "which is "
            f"never run on a card's word. Pass `--arch {card.arch}` again, or module=... from Python."
        )
    return card.arch
