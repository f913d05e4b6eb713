"""How much memory data may use here, control groups of containers included."""

import os
from collections.abc import Iterator
from pathlib import Path

# Where neither the system nor a control group says anything.
UNKNOWN_BYTES = 4 * 2**30
ROOT = Path("/")


def default_limit() -> int:
    """Half of the memory that is available now, in bytes."""
    return available_memory() // 2


def available_memory(root: Path = ROOT) -> int:
    """Bytes this process may still take: the least of what the machine and each control group leave.

    Args:
        root: The root of the file system, another one in tests.
    """
    readings = [*_machine_rooms(root), *_group_rooms(root)]
    return max(0, min(readings, default=_installed_memory()))


def format_bytes(num_bytes: int) -> str:
    """Bytes in words, such as ``41.2 GB`` or ``512 bytes``; 1 GB is 10**9 bytes."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.1f} {unit}"
    return f"{num_bytes} bytes"


def _machine_rooms(root: Path) -> Iterator[int]:
    for line in _read_lines(root / "proc" / "meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _group_rooms(root: Path) -> Iterator[int]:
    """What each control group above this process leaves; the file cache it can give back counts as free."""
    mount = root / "sys" / "fs" / "cgroup"
    for folder in _group_folders(root, mount):
        yield from _room(folder / "memory.max", folder / "memory.current", folder, key="inactive_file")
    old = mount / "memory"
    yield from _room(
        old / "memory.limit_in_bytes", old / "memory.usage_in_bytes", old, key="total_inactive_file"
    )


def _group_folders(root: Path, mount: Path) -> Iterator[Path]:
    """The group of this process and those above it, down to the mount itself, which a container sees."""
    lines = _read_lines(root / "proc" / "self" / "cgroup")
    inner = next((line.split("::", 1)[1].strip("/") for line in lines if line.startswith("0::")), "")
    folder = mount / inner
    yield folder
    while folder != mount:
        folder = folder.parent
        yield folder


def _room(limit: Path, usage: Path, folder: Path, *, key: str) -> Iterator[int]:
    limits, usages = (_read_lines(path) for path in (limit, usage))
    if not (limits and usages and limits[0].isdigit() and usages[0].isdigit()):
        return
    cached = [line.split()[1] for line in _read_lines(folder / "memory.stat") if line.startswith(f"{key} ")]
    yield int(limits[0]) - int(usages[0]) + sum(map(int, cached))


def _installed_memory() -> int:
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    if not hasattr(os, "sysconf") or any(name not in os.sysconf_names for name in names):
        return UNKNOWN_BYTES
    return os.sysconf(names[0]) * os.sysconf(names[1])


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
