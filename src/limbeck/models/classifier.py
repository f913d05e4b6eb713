"""A classifier: any module together with how it sees inputs, so that raw samples give logits.

Models trained apart expect different sizes, normalizations and tokenizers. A `Classifier` carries its own, so
that several of them can be asked about the same batch.
"""

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.core.errors import InputError, require
from limbeck.models.preprocessing import Preprocessing
from limbeck.models.tokenizers import check_vocabulary, identify_tokenizer

# Which text of a pair a token belongs to: every tokenizer of the BERT family makes it, some of its models
# refuse it.
DEFAULT_LENGTH = 128
SEGMENTS = "token_type_ids"


class Classifier(nn.Module):
    """Any module together with how it sees inputs; `classifier(inputs)` gives logits [batch, classes].

    uint8 images [n, channels, height, width] are scaled to [0, 1], resized (bilinear with antialiasing,
    without cropping) where their size differs, and normalized; grey ones are repeated where the normalization
    has more channels. Without resizing the result equals `limbeck.data.normalize` bit for bit. Floating-point
    inputs are resized and normalized where that is set. Both take the floating-point type of the module's
    weights, half precision for example. A dict of tensors
    becomes keyword arguments; where its keys carry this classifier's tokenizer id (see `encode_texts`), only
    those are passed. Nothing in `forward` asks the device for an answer. What is saved is the module's own
    `state_dict()`.

    Attributes:
        module: The model itself.
        class_names: Name of each logit, in order; None where they are unknown.
        preprocessing: What happens to inputs first.
        arch: How to build the module again (see `build_architecture`); None where only its maker knows.
        tokenizer: A transformers tokenizer, for text.
        max_length: Tokens after which a text is cut.
        tokenizer_id: 16 hexadecimal digits, equal for tokenizers that give equal tokens; None without one.
    """

    module: nn.Module
    scale: Tensor | None
    scale_bytes: Tensor | None
    shift: Tensor | None

    def __init__(
        self,
        module: nn.Module,
        *,
        class_names: tuple[str, ...] | None = None,
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 - frozen
        arch: str | None = None,
        tokenizer: Any = None,
        max_length: int = DEFAULT_LENGTH,
    ) -> None:
        super().__init__()
        require(
            max_length >= 1, "max_length >= 1", f"max_length={max_length}", "Leave it out for 128 tokens."
        )
        check_vocabulary(tokenizer, module)
        self.module = module
        self.class_names = None if class_names is None else tuple(class_names)
        self.preprocessing = preprocessing
        self.arch = arch
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.tokenizer_id = (
            None if tokenizer is None else identify_tokenizer(tokenizer, max_length=max_length)
        )
        self._takes_segments = _accepts(module, SEGMENTS)
        self._register_scales()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Classifier":
        """A copy with weights of its own that shares the tokenizer, which may be large and is only read."""
        memo[id(self.tokenizer)] = self.tokenizer
        copied = self.__class__.__new__(self.__class__)
        memo[id(self)] = copied
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def extra_repr(self) -> str:
        """What the parts do not say: how inputs are seen."""
        return f"preprocessing={self.preprocessing}, tokenizer_id={self.tokenizer_id}"

    def _register_scales(self) -> None:
        """Precompute (inputs - mean) / std as inputs * scale + shift, wherever the module moves."""
        normalization = self.preprocessing.normalization
        scale = scale_bytes = shift = None
        if normalization is not None:
            pairs = list(zip(normalization.mean, normalization.std, strict=True))
            scale = torch.tensor([1.0 / std for _, std in pairs], dtype=torch.float32)
            scale_bytes = torch.tensor([1.0 / (255.0 * std) for _, std in pairs], dtype=torch.float32)
            shift = torch.tensor([-mean / std for mean, std in pairs], dtype=torch.float32)
        for name, values in (("scale", scale), ("scale_bytes", scale_bytes), ("shift", shift)):
            self.register_buffer(name, values, persistent=False)

    @property
    def num_classes(self) -> int | None:
        """How many classes are named; None where they are unknown."""
        return None if self.class_names is None else len(self.class_names)

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        """The logits [batch, classes] of raw inputs.

        Args:
            inputs: uint8 images, floating-point values or a dict of tensors.

        Raises:
            InputError: When the inputs have another kind or shape than the model sees, or the module gives no
                logits or another number of them than there are class names.
        """
        if isinstance(inputs, Tensor):
            output = self.module(self.preprocess(inputs))
        else:
            output = self.module(**self.pick_columns(inputs))
        logits = pick_logits(output)
        check_class_names(self.class_names, num_logits=logits.shape[1])
        return logits

    def preprocess(self, inputs: Tensor) -> Tensor:
        """What the module sees of raw inputs: of its own type, channels-last in memory for 4 axes."""
        is_bytes = inputs.dtype == torch.uint8
        _check_kind(inputs, is_bytes=is_bytes)
        values = self._normalize(self._resize(inputs), is_bytes=is_bytes).to(_find_dtype(self.module))
        return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values

    def _resize(self, inputs: Tensor) -> Tensor:
        """Floating-point images of the set size; before normalizing, as grey ones cost less then."""
        values = inputs.to(torch.float32) if inputs.dtype == torch.uint8 else inputs
        size = self.preprocessing.input_size
        if size is None or tuple(values.shape[2:]) == size:
            return values
        if values.ndim != 4:
            raise InputError(
                "`inputs are images [n, channels, height, width] where an input size is set` must hold, but "
                f"got shape={tuple(values.shape)} with input_size={size}. "
                "Set input_size to `none`, or pass images."
            )
        return F.interpolate(values, size=list(size), mode="bilinear", antialias=True)

    def _normalize(self, values: Tensor, *, is_bytes: bool) -> Tensor:
        if self.scale is None or self.scale_bytes is None or self.shift is None:
            return values.mul(1.0 / 255.0) if is_bytes else values
        _check_channels(values, num_channels=len(self.shift))
        shape = (1, -1, *[1] * (values.ndim - 2))
        scale = self.scale_bytes if is_bytes else self.scale
        # A grey image is repeated by broadcasting against one number per channel.
        return values.mul(scale.view(shape)).add_(self.shift.view(shape))

    def pick_columns(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The columns made by this classifier's tokenizer without its prefix, or all where none is prefixed.

        Raises:
            InputError: When the columns were made by other tokenizers only.
        """
        prefix = f"{self.tokenizer_id}/"
        own = {
            name.removeprefix(prefix): column for name, column in columns.items() if name.startswith(prefix)
        }
        if not own:
            foreign = [name for name in columns if "/" in name]
            if foreign:
                raise InputError(
                    f"`texts are tokenized for this classifier` must hold, but got columns {foreign}. "
                    "Pass every classifier to `encode_texts`."
                )
            own = dict(columns)
        if not self._takes_segments:
            own.pop(SEGMENTS, None)
        return own


def pick_logits(output: Any) -> Tensor:
    """The logits [batch, classes] in what a module returned: itself, its `logits`, or the first of a tuple.

    Raises:
        InputError: When there are none.
    """
    if isinstance(output, Tensor):
        logits = output
    elif isinstance(output, Mapping):
        logits = output.get("logits")
    else:
        logits = getattr(output, "logits", None)
        if logits is None and isinstance(output, tuple | list) and output:
            logits = output[0]
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        found = f"shape={tuple(logits.shape)}" if isinstance(logits, Tensor) else type(output).__name__
        raise InputError(
            f"A classifier returns logits [batch, classes], or an object with `.logits`, but got {found}. "
            "Wrap the module so that its forward returns one row of logits per sample."
        )
    return logits


def check_class_names(class_names: tuple[str, ...] | None, *, num_logits: int) -> None:
    """Raise `InputError` unless there is one class name per logit, or none at all."""
    if class_names is not None and len(class_names) != num_logits:
        raise InputError(
            f"`there is one class name per logit` must hold, but got {len(class_names)} class names and "
            f"{num_logits} logits. Name every logit, in order."
        )


def _find_dtype(module: nn.Module) -> torch.dtype | None:
    """The type of the first floating-point parameter; None where there is none."""
    floating = (weight.dtype for weight in module.parameters() if weight.is_floating_point())
    return next(floating, None)


def _check_kind(inputs: Tensor, *, is_bytes: bool) -> None:
    fits = inputs.ndim == 4 if is_bytes else inputs.is_floating_point() and inputs.ndim >= 2
    if not fits:
        raise InputError(
            "`inputs are uint8 images [n, channels, height, width] or floating-point [n, features, ...]` "
            f"must hold, but got dtype={inputs.dtype} with shape={tuple(inputs.shape)}. "
            "Convert images to uint8 and anything else to float32, and pass tokens as a dict."
        )


def _check_channels(values: Tensor, *, num_channels: int) -> None:
    is_grey_image = values.ndim == 4 and values.shape[1] == 1
    if values.shape[1] != num_channels and not is_grey_image:
        raise InputError(
            "`inputs have one channel per mean of the normalization, or are grey images` must hold, but got "
            f"shape={tuple(values.shape)} with {num_channels} means. "
            "Choose another normalization, or convert the images."
        )


def _accepts(module: nn.Module, name: str) -> bool:
    """Whether a module's forward takes an argument called `name`."""
    parameters = inspect.signature(module.forward).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
