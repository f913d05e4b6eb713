"""How much of what a machine can multiply reaches a training: ``python -m benchmarks.machine_limit``.

The limit is the best rate of a product of two square matrices in the same precision on the same threads. A
training's rate are the operations of its forward and backward passes, counted by PyTorch as one real step
runs, divided by the time of whole epochs through `limbeck.engine.pretrain`: gathering of batches, loss,
optimiser and all. On a GPU (``--device cuda``) float32 is TF32 on both sides, as PyTorch's convolutions are
there.
"""

import argparse
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import REPETITIONS, describe_run, write_json
from benchmarks.sides import NUM_CLASSES, build
from limbeck.core.device import count_cores
from limbeck.engine import PRECISIONS, Precision, Training, pretrain
from limbeck.engine.layout import synchronize

RESULTS = Path(__file__).parent / "results"
SIZES = {"cpu": (1024, 2048, 4096), "cuda": (4096, 8192, 16384)}
PRODUCT_SECONDS = 0.5
LEAST_PRODUCTS = 2
LR = 1e-4
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Work:
    """A model and its batches.

    Attributes:
        arch: Architecture.
        shape: Of one image.
        batch_size: Samples per step.
        num_steps: Steps that are timed at once.
    """

    arch: str
    shape: tuple[int, int, int]
    batch_size: int
    num_steps: int

    @property
    def title(self) -> str:
        """In words."""
        return f"{self.arch}, {self.shape[1]} x {self.shape[2]}, batch {self.batch_size}"


WORKS = {
    "cpu": (
        Work(arch="cnn", shape=(1, 28, 28), batch_size=128, num_steps=300),
        Work(arch="cnn", shape=(1, 28, 28), batch_size=64, num_steps=400),
        Work(arch="resnet20", shape=(3, 32, 32), batch_size=128, num_steps=20),
    ),
    "cuda": (
        Work(arch="resnet18", shape=(3, 32, 32), batch_size=128, num_steps=100),
        Work(arch="resnet18", shape=(3, 32, 32), batch_size=512, num_steps=40),
    ),
}


def main() -> None:
    """Measure every model in both precisions, print the shares and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=WORKS)
    parser.add_argument("--threads", type=int, default=count_cores(), help="Threads of the CPU.")
    parser.add_argument("--compile", action="store_true", help="Compile the forward pass.")
    parser.add_argument("--steps", type=int, help="Steps timed at once, instead of each model's own.")
    parser.add_argument("--sizes", type=int, nargs="+", help="Sizes of the matrices.")
    parser.add_argument("--out", type=Path, default=RESULTS, help="Folder of the result.")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.device == "cuda":
        torch.set_float32_matmul_precision("high")
    sizes = options.sizes or SIZES[options.device]
    name = "_".join(
        ["machine_limit", *(["cuda"] * (options.device == "cuda")), *(["compiled"] * options.compile)]
    )
    works = [
        measure(work, precision, sizes, num_steps=options.steps or work.num_steps, options=options)
        for work in WORKS[options.device]
        for precision in PRECISIONS
    ]
    result = {
        "name": name,
        "question": "Operations per second of training as a share of those of a matrix product",
        "works": works,
        "compiled": options.compile,
        "repetitions": REPETITIONS,
        **describe_run(options.device),
    }
    write_json(result, options.out)


def measure(
    work: Work, precision: Precision, sizes: tuple[int, ...], *, num_steps: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Rates of the product and of the training, in turn `REPETITIONS` times after one warm-up of each."""
    device = torch.device(options.device)
    model = build(work.arch, work.shape, seed=0).to(device)
    training = Training(
        epochs=1,
        batch_size=work.batch_size,
        lr=LR,
        precision=precision,
        memory_format="channels-last",
        threads=options.threads,
        compile=options.compile,
    )
    images, labels = make_samples(work, num_steps * work.batch_size, device)
    one_batch = images[: work.batch_size], labels[: work.batch_size]
    step_flops = count_flops(model, *one_batch, training=training)
    pretrain(model, *one_batch, training=training, seed=0)
    products: list[dict[int, float]] = []
    seconds: list[float] = []
    for _ in range(REPETITIONS):
        products.append({size: time_product(size, DTYPES[precision], device) for size in sizes})
        started = time.perf_counter()
        pretrain(model, images, labels, training=training, seed=0)
        seconds.append(time.perf_counter() - started)
    limit = max(rate for rates in products for rate in rates.values())
    rates = [num_steps * step_flops / value for value in seconds]
    shares = [rate / limit for rate in rates]
    print(
        f"{work.title}, {precision}: {statistics.median(rates) / 1e9:,.1f} of {limit / 1e9:,.1f} GFLOP/s, "
        f"{statistics.median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%})"
    )
    return {
        **asdict(work),
        "title": work.title,
        "precision": precision,
        "num_steps": num_steps,
        "step_flops": step_flops,
        "product_flops_per_second": products,
        "limit_flops_per_second": limit,
        "seconds": seconds,
        "flops_per_second": rates,
        "share_of_limit": shares,
        "median_share_of_limit": statistics.median(shares),
        "milliseconds_per_step": 1000 * statistics.median(seconds) / num_steps,
    }


def make_samples(work: Work, num_samples: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random images, as normalised ones lie in memory, and labels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(num_samples, *work.shape, generator=generator)
    labels = torch.randint(0, NUM_CLASSES, (num_samples,), generator=generator)
    return images.contiguous(memory_format=torch.channels_last).to(device), labels.to(device)


def count_flops(model: nn.Module, images: Tensor, labels: Tensor, *, training: Training) -> int:
    """Operations of the forward and the backward pass of a step on these samples, as PyTorch counts them.

    A multiplication and an addition are two. The step is taken, without compiling, which hides operations.

    Args:
        model: Is trained by a step.
        images: One batch.
        labels: Of it.
        training: How it is trained otherwise.
    """
    plain = Training(**{**training.to_dict(), "epochs": 1, "batch_size": len(images), "compile": False})
    with FlopCounterMode(display=False) as counter:
        pretrain(model, images, labels, training=plain, seed=0)
    return counter.get_total_flops()


def time_product(size: int, dtype: torch.dtype, device: torch.device) -> float:
    """Operations per second of the product of two square matrices, the best of half a second's products."""
    first, second = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))
    out = first @ second
    synchronize(device)
    best, total, count = float("inf"), 0.0, 0
    while total < PRODUCT_SECONDS or count < LEAST_PRODUCTS:
        started = time.perf_counter()
        torch.matmul(first, second, out=out)
        synchronize(device)
        seconds = time.perf_counter() - started
        best, total, count = min(best, seconds), total + seconds, count + 1
    return 2 * size**3 / best


if __name__ == "__main__":
    main()
