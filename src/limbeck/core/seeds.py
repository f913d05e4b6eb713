"""Named randomness: every random draw comes from a seed and the names of what it is for.

`derive_seed(0, "pretrain", "client", 3)` is the same number in any process, on any machine and in any
order of calls, and changing one name changes it. Global random state is never touched.
"""

import hashlib

import numpy as np
import torch


def derive_seed(seed: int, *names: str | int) -> int:
    """The 63-bit seed of one purpose, drawn from a study's seed and the names of that purpose.

    Args:
        seed: The study's seed.
        names: What the randomness is for, from the general to the particular.

    Returns:
        An integer in [0, 2**63).
    """
    text = "\x1f".join([str(int(seed)), *(f"{type(name).__name__}:{name}" for name in names)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def numpy_rng(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for one named purpose; see `derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *names))


def torch_rng(seed: int, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for one named purpose; see `derive_seed`."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *names))
