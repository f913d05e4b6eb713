"""What a study ran on: hardware, versions and the commit of limbeck."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from limbeck.core.device import count_cores, describe_device

REPORTED_PACKAGES = ("limbeck", "torch", "numpy", "polars", "scikit-learn")
GIT_LIMIT_SECONDS = 5


def describe_hardware(device: torch.device) -> dict[str, str | int | float]:
    """Processor, cores, memory in GiB and device."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _describe_processor(),
        "cores": count_cores(),
        "memory_gib": round(pages / 2**30, 1),
        "device": describe_device(device),
    }


def describe_versions() -> dict[str, str]:
    """Versions of Python, the system and the packages numbers depend on."""
    packages = {name: version(name) for name in REPORTED_PACKAGES}
    return {"python": platform.python_version(), "system": platform.system(), **packages}


def find_commit() -> str | None:
    """The commit limbeck runs from, with `-dirty` when files differ; None for an installed package."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        output = subprocess.run(
            command, capture_output=True, text=True, timeout=GIT_LIMIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return output.stdout.strip()


def _describe_processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
