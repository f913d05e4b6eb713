"""Who has runs in hand: a study at work, named so that others on its machine see whether it still lives."""

import os
import socket
import uuid
from pathlib import Path


def name_owner() -> str:
    """A new name: process, machine since its start, random part and host, joined by ``-``."""
    return f"{os.getpid()}-{_identify_machine()}-{uuid.uuid4().hex[:8]}-{socket.gethostname()}"


def host_of(owner: str) -> str:
    """The host that an owner runs on."""
    return owner.split("-", 3)[-1]


def is_gone(owner: str) -> bool:
    """Whether an owner's process has surely ended; False where that cannot be seen from here."""
    process, machine, *_ = owner.split("-", 3)
    if machine != _identify_machine():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _identify_machine() -> str:
    """One start of one machine, or of a container whose processes are numbered apart."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot.replace('-', '')}{Path('/proc/self/ns/pid').stat().st_ino:x}"
    except OSError:
        return f"{uuid.getnode():x}"
