"""How each architecture of a study is run, measured once and kept in the study's folder."""

from pathlib import Path

import torch

from limbeck import models
from limbeck.data import DataSet, measure_normalization, normalize
from limbeck.engine import Layout, Wishes, calibrate
from limbeck.study.spec import StudySpec

CALIBRATION_FILE = "calibration.json"


def pick_layouts(spec: StudySpec, data: DataSet, *, folder: Path, device: torch.device) -> dict[str, Layout]:
    """The layout of each architecture; none where the spec wants plain arithmetic.

    A worker has one thread, so only precision and memory format are measured. What was chosen lies in the
    folder and is what a study that goes on uses, whatever would be measured then.

    Args:
        spec: The study.
        data: Its data set.
        folder: The study's.
        device: Where it runs.
    """
    if spec.layout == "plain":
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    normalization = measure_normalization(data.train)
    wishes = Wishes(threads=1 if device.type == "cpu" else None)
    layouts = {}
    for arch, batch_size in _list_architectures(spec).items():
        samples = data.train.subset(range(min(batch_size, len(data.train))))
        batch = normalize(samples.inputs, normalization).to(device)
        model = models.build(arch, input_shape=data.input_shape, num_classes=data.num_classes, seed=0)
        layouts[arch] = calibrate(
            model.to(device), batch, wishes=wishes, name=arch, file=folder / CALIBRATION_FILE
        )
    return layouts


def _list_architectures(spec: StudySpec) -> dict[str, int]:
    """Every architecture that is trained, with the size of its batches."""
    sizes = {}
    if spec.federated is not None:
        sizes[spec.federated.arch] = spec.federated.local.batch_size
    if spec.transfer is not None:
        for architectures in spec.transfer.architectures:
            sizes[architectures.teacher] = spec.transfer.pretrain.batch_size
            sizes[architectures.student] = spec.transfer.training.batch_size
    return sizes
