"""A classifier's last layer solved at once from sums that clients can send: linear discriminant analysis.

Three sums over a client's samples are all that it takes, and those of all clients add up to those of the
pooled samples: the layer is the one that the pooled samples would give for these features, up to the order in
which numbers are added, and no sample leaves a client.

References:
    Classifier calibration against class imbalance between clients: Luo et al. 2021,
    https://arxiv.org/abs/2106.05001 (which draws virtual features and trains; here the solution is closed).
    Linear discriminant analysis: Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning",
    section 4.3.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limbeck.core.errors import require
from limbeck.data import Inputs
from limbeck.engine import predict_logits
from limbeck.federate.messages import State

SHRINKAGE = 0.05
# Of features that do not vary within classes; it keeps the solution finite.
LEAST_VARIANCE = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassStatistics:
    """Sums over samples of the features that a model's last layer sees, in float64.

    Attributes:
        counts: Samples per class.
        sums: Sum of the features of each class.
        products: Sum of the outer products of the features with themselves.
    """

    counts: Float[Tensor, " classes"]
    sums: Float[Tensor, "classes features"]
    products: Float[Tensor, "features features"]

    def __add__(self, other: "ClassStatistics") -> "ClassStatistics":
        return ClassStatistics(
            counts=self.counts + other.counts,
            sums=self.sums + other.sums,
            products=self.products + other.products,
        )

    def scale(self, factor: float) -> "ClassStatistics":
        """The sums times a number."""
        return ClassStatistics(
            counts=self.counts * factor, sums=self.sums * factor, products=self.products * factor
        )

    def to_state(self) -> State:
        """The sums by name."""
        return vars(self)


def find_head(model: nn.Module, num_classes: int) -> nn.Linear:
    """The last linear layer with one output per class and a bias.

    Raises:
        InputError: When the model has none.
    """
    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.Linear) and layer.out_features == num_classes and layer.bias is not None
    ]
    require(
        len(layers) > 0,
        "the model ends in a linear layer with one output per class and a bias",
        f"none with {num_classes} outputs in {type(model).__name__}",
        "Use the start `mesh` or `weight-average`.",
    )
    return layers[-1]


def sum_up(model: nn.Module, inputs: Inputs, labels: Tensor, *, num_classes: int) -> ClassStatistics:
    """The statistics of what a model's last layer sees of some samples.

    Law: those of two sets of samples add up to those of both together.

    Args:
        model: In evaluation mode it is asked about every sample once.
        inputs: What it takes.
        labels: Class of each sample.
        num_classes: Number of classes.

    Raises:
        InputError: When the model has no such layer.
    """
    seen: list[Tensor] = []
    hook = find_head(model, num_classes).register_forward_pre_hook(
        lambda _layer, arguments: seen.append(arguments[0].detach())
    )
    try:
        predict_logits(model, inputs)
    finally:
        hook.remove()
    features = torch.cat(seen).to(torch.float64)
    sums = torch.zeros(num_classes, features.shape[1], dtype=torch.float64, device=features.device)
    return ClassStatistics(
        counts=torch.bincount(labels, minlength=num_classes).to(torch.float64),
        sums=sums.index_add_(0, labels, features),
        products=features.T @ features,
    )


def add_up(statistics: Iterable[ClassStatistics]) -> ClassStatistics:
    """Those of all samples together, in the order given."""
    return reduce(lambda total, one: total + one, statistics)


def refit_head(model: nn.Module, statistics: ClassStatistics, *, shrinkage: float = SHRINKAGE) -> None:
    """Replace a model's last layer by the linear discriminants of these statistics, in place.

    With mu_c the mean features of class c and S their pooled covariance within classes, shrunk towards a
    multiple of the identity, the logit of c is mu_c^T S^-1 f - mu_c^T S^-1 mu_c / 2: every class is as likely
    as any other beforehand. The layer is scaled to the norm of the one it replaces, so that training goes
    on with gradients of the size it had; no prediction depends on that. A class without samples has the
    others' mean weights and, one nat lower, their lowest bias: it is never the likeliest.

    Law: before it is scaled, the layer is that of scikit-learn's `LinearDiscriminantAnalysis` with the same
    shrinkage on the pooled features, without the logarithms of its priors.

    Args:
        model: Its last layer is replaced.
        statistics: Of all clients together.
        shrinkage: Share of the identity in S, in (0, 1].

    Raises:
        InputError: When the model has no such layer, or there is no sample.
    """
    counts = statistics.counts
    require(bool(counts.sum() > 0), "there is a sample", "none", "Give clients samples.")
    head = find_head(model, len(counts))
    means = statistics.sums / counts.clamp_min(1)[:, None]
    within = (statistics.products - means.T @ (counts[:, None] * means)) / counts.sum()
    size = within.diagonal().mean().clamp_min(LEAST_VARIANCE)
    identity = torch.eye(len(within), dtype=within.dtype, device=within.device)
    shrunk = (1 - shrinkage) * within + shrinkage * size * identity
    weight = torch.linalg.solve(shrunk, means.T).T
    bias = -(weight * means).sum(dim=1) / 2
    is_seen = counts > 0
    weight = weight.where(is_seen[:, None], weight[is_seen].mean(dim=0))
    bias = bias.where(is_seen, bias[is_seen].min() - 1)
    with torch.no_grad():
        scale = head.weight.norm() / weight.norm().clamp_min(LEAST_VARIANCE)
        head.weight.copy_(weight * scale)
        head.bias.copy_(bias * scale)
