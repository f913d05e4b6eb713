"""The losses of other libraries beside ours: ``python -m benchmarks.conventions``.

Each library that is installed computes its own loss of the check inputs, with its own code; limbeck computes
the converted one. Values and gradients of the student's logits are compared. What cannot be imported is
reported as not installed. `docs/conventions.md` holds the formulas and the table this prints.
"""

import importlib.util
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.core.files import write_text
from limbeck.losses import dist, distillation, dkd, kd, standardize, weighted_probabilities
from limbeck.study.machine import describe_hardware, describe_versions, find_commit

RESULT = Path(__file__).parent / "results" / "conventions.json"
STUDENT = torch.tensor([[2, 0.5, -1, 0], [0.1, 1.2, 0.3, -0.5], [-0.3, 0.8, 1.5, 0.2]], dtype=torch.float64)
TEACHER = torch.tensor([[3, 1, -2, 0.5], [0, 2, 1, -1], [1, -0.5, 2.5, 0]], dtype=torch.float64)
LABELS = torch.tensor([0, 1, 0])
NUM_CLASSES = STUDENT.shape[1]
COLUMNS = ("library", "its settings", "in limbeck", "its loss", "ours", "difference", "of gradients")

LossFn = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One setting of a library and what it is in limbeck.

    Attributes:
        setting: In the library's words.
        conversion: In limbeck's.
        theirs: The student's logits to the library's loss.
        ours: The student's logits to the converted loss, None where there is none.
    """

    setting: str
    conversion: str
    theirs: LossFn
    ours: LossFn | None


def blend(student: Tensor, *, temperature: float, ce_weight: float, kl_weight: float) -> Tensor:
    """a CE + b T^2 KL, batch mean, as (a + b) times our loss with w = b / (a + b)."""
    scale = ce_weight + kl_weight
    losses = distillation(student, TEACHER, LABELS, temperature=temperature, weight=kl_weight / scale)
    return scale * losses.mean()


def teacher_entropy(temperature: float) -> Tensor:
    """The mean entropy of the softened teacher, by which a cross-entropy exceeds the divergence."""
    log_probabilities = F.log_softmax(TEACHER / temperature, dim=-1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=-1).mean()


def compare_mdistiller() -> list[Comparison]:
    """T^2 KL and CE with a weight each; DKD without its warm-up."""
    from mdistiller.distillers.DKD import dkd_loss  # pyright: ignore[reportMissingImports]
    from mdistiller.distillers.KD import kd_loss  # pyright: ignore[reportMissingImports]

    def their_kd(student: Tensor, ce_weight: float, kd_weight: float) -> Tensor:
        return ce_weight * F.cross_entropy(student, LABELS) + kd_weight * kd_loss(student, TEACHER, 4)

    def their_dkd(student: Tensor) -> Tensor:
        return F.cross_entropy(student, LABELS) + dkd_loss(student, TEACHER, LABELS, 1, 8, 4)

    def our_dkd(student: Tensor) -> Tensor:
        pull = dkd(student, TEACHER, LABELS, alpha=1, beta=8, temperature=4).mean()
        return 2 * (0.5 * F.cross_entropy(student, LABELS) + 0.5 * pull)

    return [
        Comparison(
            setting="KD: TEMPERATURE 4, CE_WEIGHT 0.1, KD_WEIGHT 0.9",
            conversion="T = 4, w = 0.9",
            theirs=lambda z: their_kd(z, 0.1, 0.9),
            ours=lambda z: blend(z, temperature=4, ce_weight=0.1, kl_weight=0.9),
        ),
        Comparison(
            setting="KD: TEMPERATURE 4, CE_WEIGHT 1, KD_WEIGHT 3",
            conversion="4 × (T = 4, w = 0.75)",
            theirs=lambda z: their_kd(z, 1, 3),
            ours=lambda z: blend(z, temperature=4, ce_weight=1, kl_weight=3),
        ),
        Comparison(
            setting="DKD: T 4, CE_WEIGHT 1, ALPHA 1, BETA 8, after WARMUP",
            conversion="2 × (dkd, T = 4, w = 0.5, alpha = 1, beta = 8)",
            theirs=their_dkd,
            ours=our_dkd,
        ),
    ]


def compare_torchdistill() -> list[Comparison]:
    """alpha on CE, beta on T^2 KL; no T^2 where alpha is 0."""
    from torchdistill.losses import mid_level  # pyright: ignore[reportMissingImports]

    def their(name: str, **settings: float) -> LossFn:
        paths = {f"{side}_module_{part}": "." for side in ("student", "teacher") for part in ("path", "io")}
        loss = getattr(mid_level, name)(**paths, **settings)
        return lambda z: loss({".": {".": z}}, {".": {".": TEACHER}}, LABELS)

    def our_standardized(student: Tensor) -> Tensor:
        pull = kd(standardize(student), standardize(TEACHER), temperature=2).mean()
        return 0.1 * F.cross_entropy(student, LABELS) + 0.9 * pull

    return [
        Comparison(
            setting="KDLoss: temperature 4, alpha 0.1",
            conversion="T = 4, w = 0.9",
            theirs=their("KDLoss", temperature=4, alpha=0.1),
            ours=lambda z: blend(z, temperature=4, ce_weight=0.1, kl_weight=0.9),
        ),
        Comparison(
            setting="KDLoss: temperature 4, alpha 0.5, beta 2",
            conversion="2.5 × (T = 4, w = 0.8)",
            theirs=their("KDLoss", temperature=4, alpha=0.5, beta=2),
            ours=lambda z: blend(z, temperature=4, ce_weight=0.5, kl_weight=2),
        ),
        Comparison(
            setting="KDLoss: temperature 4, alpha 0",
            conversion="1/16 × (T = 4, w = 1)",
            theirs=their("KDLoss", temperature=4, alpha=0),
            ours=lambda z: blend(z, temperature=4, ce_weight=0, kl_weight=1 / 16),
        ),
        Comparison(
            setting="LogitStdKDLoss: temperature 2, alpha 0.1",
            conversion="kd-standardized, T = 2, w = 0.9",
            theirs=their("LogitStdKDLoss", temperature=2, alpha=0.1),
            ours=our_standardized,
        ),
        Comparison(
            setting="DISTLoss: beta 1, gamma 1, tau 4",
            conversion="dist, T = 4, w = 1, beta = 1, gamma = 1",
            theirs=their("DISTLoss", beta=1, gamma=1, tau=4),
            ours=lambda z: dist(z, TEACHER, beta=1, gamma=1, temperature=4),
        ),
    ]


def compare_textbrewer() -> list[Comparison]:
    """A cross-entropy with the softened teacher, no T^2, a weight each."""
    import textbrewer  # pyright: ignore[reportMissingImports]

    def their(**settings: Any) -> LossFn:
        def loss(student: Tensor) -> Tensor:
            with tempfile.TemporaryDirectory() as folder:
                training = textbrewer.TrainingConfig(output_dir=folder, device="cpu")
                options = textbrewer.DistillationConfig(**settings)
                distiller = textbrewer.BasicDistiller(training, options, None, None, None, None)
            outputs = {"logits": [student], "losses": [F.cross_entropy(student, LABELS)]}
            return distiller.compute_loss(outputs, {"logits": [TEACHER]})[0]

        return loss

    return [
        Comparison(
            setting="temperature 4 (defaults: ce, kd_loss_weight 1, hard_label_weight 0)",
            conversion="1/16 × (T = 4, w = 1) + H",
            theirs=their(temperature=4),
            ours=lambda z: blend(z, temperature=4, ce_weight=0, kl_weight=1 / 16) + teacher_entropy(4),
        ),
        Comparison(
            setting="temperature 4, kd_loss_weight 1, hard_label_weight 1",
            conversion="17/16 × (T = 4, w = 1/17) + H",
            theirs=their(temperature=4, hard_label_weight=1),
            ours=lambda z: blend(z, temperature=4, ce_weight=1, kl_weight=1 / 16) + teacher_entropy(4),
        ),
        Comparison(
            setting="temperature 4, kd_loss_weight 14.4, hard_label_weight 0.1",
            conversion="T = 4, w = 0.9, + 14.4 H",
            theirs=their(temperature=4, kd_loss_weight=14.4, hard_label_weight=0.1),
            ours=lambda z: blend(z, temperature=4, ce_weight=0.1, kl_weight=0.9) + 14.4 * teacher_entropy(4),
        ),
        Comparison(
            setting="temperature 4, kd_loss_type mse",
            conversion="none",
            theirs=their(temperature=4, kd_loss_type="mse"),
            ours=None,
        ),
    ]


def compare_trl() -> list[Comparison]:
    """The generalised Jensen-Shannon divergence per token, no T^2, no labels."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.gkd import GKDTrainer  # pyright: ignore[reportMissingImports]

    def their(**settings: float) -> LossFn:
        def loss(student: Tensor) -> Tensor:  # every sample is a sequence of one token
            return GKDTrainer.generalized_jsd_loss(
                student[:, None], TEACHER[:, None], LABELS[:, None], **settings
            )

        return loss

    def our_jsd(student: Tensor, *, beta: float) -> Tensor:
        shares = torch.tensor([[1 - beta], [beta]], dtype=torch.float64).expand(-1, len(student))
        mixture = weighted_probabilities(torch.stack([student, TEACHER]), shares, temperature=1)
        of_teacher, of_student = (kd(mixture, side, temperature=1).mean() for side in (TEACHER, student))
        return beta * of_teacher + (1 - beta) * of_student

    return [
        Comparison(
            setting="beta 0 (temperature 1)",
            conversion="T = 1, w = 1",
            theirs=their(beta=0),
            ours=lambda z: blend(z, temperature=1, ce_weight=0, kl_weight=1),
        ),
        Comparison(
            setting="beta 0, temperature 4",
            conversion="1/16 × (T = 4, w = 1)",
            theirs=their(beta=0, temperature=4),
            ours=lambda z: blend(z, temperature=4, ce_weight=0, kl_weight=1 / 16),
        ),
        Comparison(
            setting="beta 1 (temperature 1)",
            conversion="`kd` with its arguments swapped; no technique",
            theirs=their(beta=1),
            ours=lambda z: kd(TEACHER, z, temperature=1).mean(),
        ),
        Comparison(
            setting="beta 0.5 (temperature 1)",
            conversion="`kd` of both sides to the mean; no technique",
            theirs=their(beta=0.5),
            ours=lambda z: our_jsd(z, beta=0.5),
        ),
    ]


def compare_kd_lib() -> list[Comparison]:
    """A loss of softened probabilities that the user may choose, by default the mean squared error."""
    vanilla_kd = _import_past_package("KD_Lib.KD", "KD_Lib.KD.vision.vanilla.vanilla_kd").VanillaKD

    def their(**settings: Any) -> LossFn:
        distiller = vanilla_kd(nn.Identity(), nn.Identity(), None, None, None, None, **settings)
        return lambda z: distiller.calculate_kd_loss(z, TEACHER, LABELS)

    return [
        Comparison(
            setting="temp 20, distil_weight 0.5 (defaults: MSELoss)",
            conversion="≈ 0.5625 × (T = 20, w = 1/9)",
            theirs=their(),
            ours=lambda z: blend(z, temperature=20, ce_weight=0.5, kl_weight=0.5 * 2 / NUM_CLASSES**2),
        ),
        Comparison(
            setting="temp 4, distil_weight 0.9, loss_fn=BatchMeanKL()",
            conversion="T = 4, w = 0.9",
            theirs=their(temp=4, distil_weight=0.9, loss_fn=BatchMeanKL()),
            ours=lambda z: blend(z, temperature=4, ce_weight=0.1, kl_weight=0.9),
        ),
        Comparison(
            setting="temp 4, distil_weight 0.9, loss_fn=KLDivLoss()",
            conversion="none",
            theirs=their(temp=4, distil_weight=0.9, loss_fn=nn.KLDivLoss()),
            ours=None,
        ),
    ]


class BatchMeanKL(nn.Module):
    """KL(teacher || student) of probabilities, batch mean: what KD_Lib needs to compute our loss."""

    def forward(self, teacher: Tensor, student: Tensor) -> Tensor:
        """One number of two batches of probabilities."""
        return F.kl_div(student.log(), teacher, reduction="batchmean")


def _import_past_package(package: str, module: str) -> Any:
    """A module of a package, past the package's own `__init__`.

    That of KD_Lib.KD imports its text half, which needs `torchtext.legacy`: no current Python has a build.
    """
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ImportError(f"No module named {package!r}")
    sys.modules.setdefault(package, importlib.util.module_from_spec(spec))
    return importlib.import_module(module)


LIBRARIES: dict[str, Callable[[], list[Comparison]]] = {
    "mdistiller": compare_mdistiller,
    "torchdistill": compare_torchdistill,
    "textbrewer": compare_textbrewer,
    "trl": compare_trl,
    "KD-Lib": compare_kd_lib,
}


def measure() -> dict[str, Any]:
    """Every library's rows, or why there are none, with what they were measured on."""
    libraries = {name: _measure_library(name, compare) for name, compare in LIBRARIES.items()}
    return {
        "name": "conventions",
        "question": "The losses of other libraries beside ours, on the check inputs, in float64",
        "libraries": libraries,
        "commit": find_commit(),
        "hardware": describe_hardware(torch.device("cpu")),
        "versions": describe_versions(),
    }


def _measure_library(name: str, compare: Callable[[], list[Comparison]]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own
        try:
            comparisons = compare()
        except ImportError as error:
            return {"version": None, "not_installed": str(error), "rows": []}
        return {"version": _find_version(name), "rows": [_compute(comparison) for comparison in comparisons]}


def _find_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unpackaged"


def _compute(comparison: Comparison) -> dict[str, Any]:
    row: dict[str, Any] = {"setting": comparison.setting, "conversion": comparison.conversion}
    value, gradient = _evaluate(comparison.theirs)
    row |= {"theirs": value, "ours": None, "difference": None, "gradient_difference": None}
    if comparison.ours is None:
        return row
    our_value, our_gradient = _evaluate(comparison.ours)
    return row | {
        "ours": our_value,
        "difference": abs(our_value - value),
        "gradient_difference": (our_gradient - gradient).abs().max().item(),
    }


def _evaluate(loss_fn: LossFn) -> tuple[float, Tensor]:
    student = STUDENT.clone().requires_grad_()
    value = loss_fn(student)
    value.backward()
    assert student.grad is not None
    return value.item(), student.grad


def render_table(result: dict[str, Any]) -> str:
    """The result as a Markdown table, then a line for each library that is not installed."""
    lines = [_join(COLUMNS), _join(["---"] * len(COLUMNS))]
    for name, library in result["libraries"].items():
        lines += [_join([f"{name} {library['version']}", *_describe_row(row)]) for row in library["rows"]]
    missing = [
        f"\n{name} is not installed: {library['not_installed']}."
        for name, library in result["libraries"].items()
        if not library["rows"]
    ]
    return "\n".join(lines + missing)


def _describe_row(row: dict[str, Any]) -> list[str]:
    if row["ours"] is None:
        return [row["setting"], row["conversion"], f"{row['theirs']:.6f}", "–", "–", "–"]
    return [
        row["setting"],
        row["conversion"],
        f"{row['theirs']:.6f}",
        f"{row['ours']:.6f}",
        f"{row['difference']:.0e}",
        f"{row['gradient_difference']:.0e}",
    ]


def _join(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table and keep the numbers as JSON."""
    torch.set_num_threads(1)
    result = measure()
    print(f"{result['question']}\n\n{render_table(result)}")
    write_text(RESULT, json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
