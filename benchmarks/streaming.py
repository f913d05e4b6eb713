"""Peak memory and time of a data set in memory and streamed from a file, each in a process of its own.

`python -m benchmarks.streaming` writes random JPEG images into a temporary folder and prints one line per
way. The memory is that of the process beyond what it holds after its imports.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CHILD = """
import resource, sys, time
from benchmarks.streaming import measure
measure(sys.argv[1], None if sys.argv[2] == "none" else int(sys.argv[2]))
"""


def write_images(root: Path, *, count: int, size: int) -> None:
    """`count` images of `size` x `size` pixels in two classes."""
    rng = np.random.default_rng(0)
    for index in range(count):
        folder = root / f"class {index % 2}"
        folder.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((size, size)).save(folder / f"{index}.jpg", quality=90)


def measure(path: str, memory_limit: int | None) -> None:
    """Load the folder, read all of it in batches, and print time, peak memory and fingerprint."""
    import torch

    from limbeck.data import count_samples, load, load_batch

    before = peak_mib()
    start = time.perf_counter()
    data = load(path, memory_limit=memory_limit)
    loaded = time.perf_counter() - start
    start = time.perf_counter()
    inputs = data.train.inputs
    batches = torch.randperm(count_samples(inputs), generator=torch.Generator().manual_seed(0)).split(64)
    for ids in batches:
        load_batch(inputs, ids, "cpu")
    per_image = (time.perf_counter() - start) / count_samples(inputs)
    print(
        f"{type(inputs).__name__}: loaded in {loaded:.1f} s, {1e6 * per_image:.0f} us per image of a batch, "
        f"peak {peak_mib() - before:.0f} MiB, fingerprint {data.fingerprint}"
    )


def peak_mib() -> float:
    """The most memory this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Write the images, then measure in memory, streamed for the first time, and streamed again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4_000)
    parser.add_argument("--size", type=int, default=224)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "images"
        root.mkdir()
        write_images(root, count=arguments.count, size=arguments.size)
        print(f"{arguments.count} images, {arguments.count * arguments.size**2 * 3 / 2**20:.0f} MiB decoded")
        for limit in ("none", "1000000", "1000000"):
            environment = {"XDG_CACHE_HOME": name, "OMP_NUM_THREADS": "1", "PYTHONPATH": ".", "PATH": ""}
            subprocess.run([sys.executable, "-c", CHILD, str(root), limit], check=True, env=environment)


if __name__ == "__main__":
    main()
