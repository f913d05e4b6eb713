"""Views: images as a model sees them in one epoch, while only the stored ones take memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from limbeck.core.errors import count, require, require_known
from limbeck.data.augmentation import AUGMENTATIONS, Augmentation, augment, check_images
from limbeck.data.kinds import StoredImages, as_rows, load_rows, take_rows
from limbeck.data.scaling import Normalization, check_normalizable, scale_channels


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Images as a model sees them in one epoch: a batch is gathered, augmented and then normalised.

    Memory: the stored images, 1 byte per value for uint8 where a normalised copy takes 4, and 8 bytes per
    sample where it has ids. While a batch loads, it takes up to 9 bytes per value if stored as uint8 and up
    to 20 if as float32.

    Law: a subset of a view is the same view of these samples.

    Attributes:
        inputs: uint8 or float32 [n, channels, ...] in memory, or images in a file.
        augmentation: What changes from epoch to epoch; see `augment`. Only images can be augmented.
        epoch: The epoch.
        seed: Seed of the augmentation.
        normalization: What the batch is normalised with after that, None to leave values and type alone.
        ids: int64 [n], the id of each sample, which augmentation goes by; None for 0 to n-1. Put on the
            device of the inputs when the record is built.

    Raises:
        InputError: When the augmentation is unknown, or augmentation, normalization or ids do not fit the
            inputs.
    """

    inputs: Tensor | StoredImages
    augmentation: Augmentation = "none"
    epoch: int = 0
    seed: int = 0
    normalization: Normalization | None = None
    ids: Tensor | None = None

    def __post_init__(self) -> None:
        require_known("augmentation", self.augmentation, AUGMENTATIONS)
        check_images(tuple(self.inputs.shape), augmentation=self.augmentation)
        if self.normalization is not None:
            check_normalizable(tuple(self.inputs.shape), self.inputs.dtype, self.normalization)
        if self.ids is not None:
            check_ids(self.ids, num_samples=len(self))
            object.__setattr__(self, "ids", self.ids.to(self._device))

    def __repr__(self) -> str:
        kind = f"{count(len(self), 'sample')} of {self.shape[1:]} {self.dtype}"
        return f"View({kind}, augmentation={self.augmentation}, epoch={self.epoch}, seed={self.seed})"

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, channels, ...)."""
        return tuple(self.inputs.shape)

    @property
    def dtype(self) -> torch.dtype:
        """Of a batch: float32 when it is normalised, else that of the inputs."""
        return self.inputs.dtype if self.normalization is None else torch.float32

    @property
    def sample_ids(self) -> Tensor:
        """int64 [n], the id of each sample."""
        return torch.arange(len(self), device=self._device) if self.ids is None else self.ids

    def take(self, ids: Sequence[int] | np.ndarray | Tensor) -> "View":
        """The samples in the rows `ids`, in that order, which keep their sample ids; see `take_samples`."""
        rows = as_rows(ids, num_samples=len(self))
        return replace(self, inputs=take_rows(self.inputs, rows), ids=self.sample_ids[rows.to(self._device)])

    def to(self, device: torch.device | str) -> "View":
        """The same view of inputs on another device; images in a file stay there."""
        return replace(self, inputs=self.inputs.to(device)) if isinstance(self.inputs, Tensor) else self

    def load(self, ids: Tensor, device: torch.device | str) -> Tensor:
        """The samples in the rows `ids` on `device`, where they are augmented and normalised."""
        batch = load_rows(self.inputs, ids, device)
        if self.augmentation != "none":
            own = ids if self.ids is None else self.ids[ids.to(self.ids.device)]
            batch = augment(
                batch,
                own.to(device),
                augmentation=self.augmentation,
                epoch=self.epoch,
                seed=self.seed,
            )
        return batch if self.normalization is None else scale_channels(batch, self.normalization)

    @property
    def _device(self) -> torch.device:
        return self.inputs.device if isinstance(self.inputs, Tensor) else torch.device("cpu")


def check_ids(ids: Tensor, *, num_samples: int) -> None:
    """Raise `InputError` unless there is one int64 id per sample."""
    require(
        tuple(ids.shape) == (num_samples,) and ids.dtype == torch.int64,
        "a view has one int64 id per sample",
        f"ids of shape {tuple(ids.shape)} and {ids.dtype} for {num_samples} samples",
        "Leave them out to count from 0.",
    )
