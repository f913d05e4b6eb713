"""The smallest spec of a federation that has every part, on real digits."""

import copy

import yaml

from limbeck.federate.spec import FederateSpec

SMALL = {
    "name": "small",
    "description": "Three clients with different digits.",
    "data": {"source": "digits", "validation_samples": 150, "proxy_samples": 60},
    "split": {
        "strategy": "dirichlet",
        "num_clients": 3,
        "parameters": {"alpha": 0.5},
        "train_samples": 300,
    },
    "held_out": 0.2,
    "arch": "mlp",
    "pretrain": {"epochs": 1, "batch_size": 32},
    "start": "weight-average",
    "distil": {"training": {"epochs": 1, "batch_size": 32, "lr": 0.02}, "weight": 0.3},
    "strategy": "fedavg",
    "rounds": 3,
    "local": {"epochs": 1, "batch_size": 32, "lr": 0.05, "schedule": "constant"},
}


def small(**changes):
    """A copy with keys such as ``local__lr`` set to other values; a key set to None is left out."""
    content = copy.deepcopy(SMALL)
    for path, value in changes.items():
        *parents, key = path.split("__")
        part = content
        for parent in parents:
            part = part[parent]
        part[key] = value
        if value is None:
            del part[key]
    return content


def make_spec(**changes):
    """The spec itself."""
    return FederateSpec.model_validate(small(**changes))


def write_spec(path, **changes):
    """The spec as a file."""
    path.write_text(yaml.safe_dump(small(**changes)), encoding="utf-8")
    return path
