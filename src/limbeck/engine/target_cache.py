"""Logits of models that do not change, computed once and kept on disk for every later run and process.

A frozen teacher says the same about the same samples in every transfer, and asking it is much of a transfer's
cost. An entry is a safetensors file whose name is the hash of everything the logits depend on. Entries are
read memory-mapped, written under another name and renamed, and the ones unused for longest go first when the
folder is full. A damaged entry is computed again.
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from limbeck.core.errors import RunError, require
from limbeck.core.files import cache_root, write_atomically
from limbeck.core.fingerprint import hash_arrays, hash_config, hash_state
from limbeck.data import Inputs, StoredImages, Texts, Tokens, View, count_samples, take_samples
from limbeck.engine.evaluation import device_of, predict_logits
from limbeck.engine.layout import Precision

LOGITS = "logits"
SUFFIX = ".safetensors"
DEFAULT_LIMIT_BYTES = 4 * 2**30
NUM_PROBES = 32


class TargetCache:
    """A folder of logits with a limit on its size.

    Args:
        folder: Where entries lie; made when first written to.
        limit_bytes: What all entries together may take; an entry larger than this is not kept.

    Raises:
        InputError: When the limit is negative.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        require(
            limit_bytes >= 0, "limit_bytes >= 0", f"limit_bytes={limit_bytes}", "0 keeps nothing on disk."
        )
        self.folder = folder
        self.limit_bytes = limit_bytes

    def get(self, key: str, compute_fn: Callable[[], Tensor], *, device: torch.device) -> Tensor:
        """The logits known as `key`, from disk or computed and kept.

        Args:
            key: From `identify_logits`.
            compute_fn: Gives the logits, [samples, classes].
            device: Where they are wanted.
        """
        path = self.folder / f"{key}{SUFFIX}"
        found = _read(path)
        if found is not None:
            return found.to(device)
        logits = compute_fn()
        self._keep(path, logits)
        return logits

    def list_entries(self) -> list[tuple[Path, os.stat_result]]:
        """Every entry, the one unused for longest first."""
        entries = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            try:
                entries.append((path, path.stat()))
            except FileNotFoundError:  # another process made room
                continue
        return sorted(entries, key=lambda entry: (entry[1].st_mtime_ns, entry[0].name))

    def count_bytes(self) -> int:
        """What all entries take."""
        return sum(status.st_size for _, status in self.list_entries())

    def _keep(self, path: Path, logits: Tensor) -> None:
        size = logits.numel() * logits.element_size()
        if size > self.limit_bytes:
            return
        self._make_room(size)
        try:
            with write_atomically(path) as temporary:
                save_file({LOGITS: logits.detach().cpu().contiguous()}, temporary)
        except RunError:
            return  # a disk that is full or read-only costs time and no result

    def _make_room(self, num_bytes: int) -> None:
        entries = self.list_entries()
        total = sum(status.st_size for _, status in entries)
        for path, status in entries:
            if total + num_bytes <= self.limit_bytes:
                return
            path.unlink(missing_ok=True)
            total -= status.st_size


def predict_cached(
    model: nn.Module,
    inputs: Inputs,
    cache: TargetCache | None,
    *,
    precision: Precision = "float32",
    after_batch: Callable[[], None] = lambda: None,
) -> Tensor:
    """The logits of every sample, [samples, classes] in float32, from the cache where it has them.

    Args:
        model: See `predict_logits`.
        inputs: See `predict_logits`.
        cache: None to ask the model in any case.
        precision: Of the model's forward pass.
        after_batch: Called after every batch the model is asked about.
    """
    if cache is None or count_samples(inputs) <= NUM_PROBES:
        return predict_logits(model, inputs, precision=precision, after_batch=after_batch)
    return cache.get(
        identify_logits(model, inputs, precision=precision),
        lambda: predict_logits(model, inputs, precision=precision, after_batch=after_batch),
        device=device_of(model),
    )


def default_target_cache() -> TargetCache:
    """The user's own cache, ``$XDG_CACHE_HOME/limbeck/targets``, by default ``~/.cache/limbeck/targets``."""
    return TargetCache(cache_root() / "targets")


def identify_logits(model: nn.Module, inputs: Inputs, *, precision: Precision = "float32") -> str:
    """The 16 hexadecimal digits of everything a model's logits on some inputs depend on.

    These are the weights, the inputs, and the module's code and attributes, which cannot be listed: what they
    come to is read off the logits of a few samples, bit for bit. The kind of device and the version of torch
    are part of it too. Another number of threads may give other bits, and then only costs an entry.

    Args:
        model: In evaluation its output must depend on its inputs alone.
        inputs: What it is asked about.
        precision: In which it is asked.
    """
    num_samples = count_samples(inputs)
    probes = torch.linspace(0, num_samples - 1, min(NUM_PROBES, num_samples)).long()
    said = predict_logits(model, take_samples(inputs, probes), precision=precision)
    return hash_config(
        {
            "weights": hash_state(model.state_dict()),
            "structure": str(model),
            "probes": hash_arrays([said.cpu().numpy()]),
            "inputs": hash_inputs(inputs),
            "precision": precision,
            "device": device_of(model).type,
            "torch": torch.__version__,
        }
    )


def hash_inputs(inputs: Inputs) -> str:
    """The 16 hexadecimal digits of the samples; of stored images, of their file's name, age and rows."""
    if isinstance(inputs, View):
        ids = [] if inputs.ids is None else [inputs.ids.cpu().numpy()]
        view = {
            "augmentation": inputs.augmentation,
            "epoch": inputs.epoch,
            "seed": inputs.seed,
            "normalization": inputs.normalization and asdict(inputs.normalization),
        }
        return hash_config({**view, "ids": hash_arrays(ids), "inputs": hash_inputs(inputs.inputs)})
    if isinstance(inputs, Tensor):
        return hash_arrays([inputs.cpu().numpy()])
    if isinstance(inputs, Tokens):
        return hash_state(inputs.columns)
    if isinstance(inputs, Texts):
        return hash_config({"texts": list(inputs.strings)})
    assert isinstance(inputs, StoredImages)
    rows = [] if inputs.rows is None else [inputs.rows.numpy()]
    status = inputs.file.stat()
    return hash_config({"file": str(inputs.file), "modified": status.st_mtime_ns, "rows": hash_arrays(rows)})


def _read(path: Path) -> Tensor | None:
    """The logits in a file, None when it is missing or damaged; reading counts as using."""
    try:
        with safe_open(path, framework="pt") as entry:
            logits = entry.get_tensor(LOGITS)
        os.utime(path)
    except (OSError, SafetensorError, RuntimeError):  # torch opens it anew, when it may be gone
        return None
    return logits
