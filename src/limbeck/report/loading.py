"""The program that uses a transfer's new student: it builds and loads it and prepares its inputs."""

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limbeck.models import Card

OWN_CONFIG = "hf:."
# Which function of transformers reads a folder, by whether the model reads text.
AUTO_CLASSES = {True: "AutoModelForSequenceClassification", False: "AutoModelForImageClassification"}
DEFAULT_CHANNELS = 3
UNKNOWN = "model = ...  # build the student's module here, as you built the one you gave"


def write_load_program(weights: Path, card: "Card | None" = None) -> str:
    """A Python program, without its inputs, that gives the new student's logits.

    Nothing is run to write it, and it needs limbeck for models of its own zoo only.

    Args:
        weights: The student's weights as safetensors, beside its card.
        card: What is known about the student; without it the program only loads the weights.

    Returns:
        Lines whose last one computes `logits` from `images`, `inputs` or `texts`.
    """
    if card is None:
        return "\n".join(["import safetensors.torch", "", UNKNOWN, *_load(weights)])
    imports, model = _build(card, weights.parent)
    if card.arch == OWN_CONFIG:
        return "\n".join([*imports, "", *model, "", *_use(card, weights.parent)])
    if card.max_length is not None:
        imports = [*imports, "from transformers import AutoTokenizer"]
    return "\n".join([*imports, "", *model, *_load(weights), "", *_use(card, weights.parent)])


def _load(weights: Path) -> list[str]:
    return [f"model.load_state_dict(safetensors.torch.load_file({_quote(weights)}))", "model.eval()"]


def _build(card: "Card", folder: Path) -> tuple[list[str], list[str]]:
    """The imports and the lines that make the module, by the kind of its architecture."""
    kind, _, name = (card.arch or "").partition(":")
    num_classes = f"num_classes={len(card.class_names)}" if card.class_names else "num_classes=..."
    torch = ["import safetensors.torch", "import torch"]
    if card.arch == OWN_CONFIG:
        return _build_transformers(card, folder)
    if kind == "timm":
        channels = _count_channels(card)
        more = "" if channels == DEFAULT_CHANNELS else f", in_chans={channels}"
        return [torch[0], "import timm", torch[1]], [
            f"model = timm.create_model({_quote(name)}, {num_classes}{more})"
        ]
    if kind == "torchvision":
        return [*torch, "import torchvision"], [f"model = torchvision.models.{name}({num_classes})"]
    if kind.endswith(".py") and name:
        return _build_from_file(card, Path(kind), name)
    if not name and kind and card.input_shape:
        shape = (_count_channels(card), *_image_size(card))
        return [*torch, "from limbeck import models"], [
            f"model = models.build({_quote(kind)}, input_shape={shape}, {num_classes}, seed=0)"
        ]
    return torch, [UNKNOWN]


def _build_transformers(card: "Card", folder: Path) -> tuple[list[str], list[str]]:
    reads_text = card.max_length is not None
    factory = AUTO_CLASSES[reads_text]
    model = [f"model = {factory}.from_pretrained({_quote(folder)})", "model.eval()"]
    if reads_text:
        return [f"from transformers import {factory}, AutoTokenizer"], model
    return ["import torch", f"from transformers import {factory}"], model


def _build_from_file(card: "Card", path: Path, function: str) -> tuple[list[str], list[str]]:
    known = {"input_shape": repr(tuple(card.input_shape)) if card.input_shape else ""}
    known |= {"num_classes": str(len(card.class_names)) if card.class_names else ""}
    accepted = _list_arguments(path, function)
    given = ", ".join(
        f"{name}={value}" for name, value in sorted(known.items()) if value and name in accepted
    )
    return ["import importlib", "import sys", "", "import safetensors.torch", "import torch"], [
        f"sys.path.insert(0, {_quote(path.parent)})",
        f"model = importlib.import_module({_quote(path.stem)}).{function}({given})",
    ]


def _list_arguments(path: Path, function: str) -> set[str]:
    """The arguments a function, or a class when it is made, takes; read off the file, which is not run."""
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, UnicodeDecodeError):
        return {"num_classes"}
    found = next((node for node in body if getattr(node, "name", None) == function), None)
    if isinstance(found, ast.ClassDef):
        found = next((node for node in found.body if getattr(node, "name", None) == "__init__"), None)
    if not isinstance(found, ast.FunctionDef) or found.args.kwarg is not None:
        return {"num_classes"}
    return {argument.arg for argument in (*found.args.args, *found.args.kwonlyargs)}


def _use(card: "Card", folder: Path) -> list[str]:
    """The lines that prepare raw inputs and ask the model."""
    suffix = ".logits" if card.arch == OWN_CONFIG else ""
    if card.max_length is not None:
        cut = f"truncation=True, max_length={card.max_length}"
        return [
            "# texts: a list of strings.",
            f"tokenizer = AutoTokenizer.from_pretrained({_quote(folder)})",
            f'tokens = tokenizer(texts, padding=True, {cut}, return_tensors="pt")',
            f"logits = model(**tokens){suffix}",
        ]
    is_image = len(card.input_shape) == 3
    name = "images" if is_image else "inputs"
    shape = ", ".join(map(str, ("n", *card.input_shape)))
    scale = "divide uint8 images by 255 first, to [0, 1]" if is_image else "as they are in the data"
    lines = [f"# {name}: float32 [{shape}]; {scale}."]
    if card.input_size is not None:
        size = f'size={tuple(card.input_size)}, mode="bilinear", antialias=True'
        lines.append(f"{name} = torch.nn.functional.interpolate({name}, {size})")
    if not card.mean:
        return [*lines, "# The model takes them as they are.", f"logits = model({name}){suffix}"]
    view = "" if len(card.input_shape) < 2 else f".view(-1{', 1' * (len(card.input_shape) - 1)})"
    return [
        *lines,
        f"mean = torch.tensor({list(card.mean)}){view}",
        f"std = torch.tensor({list(card.std)}){view}",
        f"logits = model(({name} - mean) / std){suffix}",
    ]


def _count_channels(card: "Card") -> int:
    """How many channels the module sees: those of its normalization, to which grey images are repeated."""
    return len(card.mean) or (card.input_shape[0] if card.input_shape else DEFAULT_CHANNELS)


def _image_size(card: "Card") -> tuple[int, ...]:
    return tuple(card.input_size or card.input_shape[1:])


def _quote(text: object) -> str:
    return '"' + str(text).replace("\\", "/").replace('"', '\\"') + '"'
