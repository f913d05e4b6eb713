"""The smallest study that has every part, on real digits."""

import copy
from typing import Any

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": "digits", "validation_samples": 200, "proxy_samples": 100},
    "seeds": [0],
    "transfer": {
        "train_samples": 400,
        "scenarios": [
            {"name": "uniform", "strategy": "uniform"},
            {"name": "skewed", "strategy": "dirichlet", "parameters": {"alpha": 0.3}, "pairs": "all"},
        ],
        "architectures": [{"student": "mlp", "teacher": "cnn"}],
        "pretrain": {"epochs": 4, "batch_size": 32},
        "training": {"epochs": 1, "batch_size": 32, "lr": 0.02},
        "techniques": ["finetune", "kd", "tuned-kd", "dml", "dp-kd", "dp-kd-unsupervised"],
        "transfer_sets": ["student", "teacher", "proxy"],
        "grid": {"temperatures": [1, 4], "weights": [0.1, 0.5]},
    },
    "federated": {
        "scenarios": [
            {"name": "skewed", "strategy": "dirichlet", "num_clients": 3, "parameters": {"alpha": 0.3}}
        ],
        "arch": "mlp",
        "pretrain": {"epochs": 2, "batch_size": 32},
        "local": {"epochs": 1, "batch_size": 32, "lr": 0.05, "schedule": "constant"},
        "rounds": 3,
        "starts": ["scratch", "best-client", "weight-average", "hub", "chain"],
        "distil": {"temperature": 1, "weight": 0.5, "training": {"epochs": 1, "batch_size": 32, "lr": 0.02}},
        "targets": [0.5, 0.99],
    },
}


def tiny(**changes: Any) -> dict[str, Any]:
    """A copy of the spec with keys such as ``transfer__training__lr`` set to other values."""
    content = copy.deepcopy(TINY)
    for place, value in changes.items():
        *parents, last = place.split("__")
        part = content
        for parent in parents:
            part = part[int(parent) if parent.isdigit() else parent]
        part[last] = value
    return content
