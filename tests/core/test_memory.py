"""How much memory is left, read from made-up system files."""

import pytest

from limbeck.core.memory import available_memory, format_bytes

GIB = 2**30


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(content))
    return root


MACHINE = {"proc/meminfo": f"MemTotal: 9 kB\nMemAvailable:  {8 * 2**20} kB\n"}
INNER = "sys/fs/cgroup/a/b"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (MACHINE, 8 * GIB),
        ({**MACHINE, "sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": 5}, 8 * GIB),
        ({**MACHINE, "sys/fs/cgroup/memory.max": 3 * GIB, "sys/fs/cgroup/memory.current": GIB}, 2 * GIB),
        (
            {
                **MACHINE,
                "proc/self/cgroup": "0::/a/b\n",
                f"{INNER}/memory.max": 6 * GIB,
                f"{INNER}/memory.current": 0,
                "sys/fs/cgroup/a/memory.max": 4 * GIB,
                "sys/fs/cgroup/a/memory.current": 3 * GIB,
                "sys/fs/cgroup/a/memory.stat": f"anon 7\ninactive_file {2 * GIB}\n",
            },
            3 * GIB,
        ),
        (
            {
                **MACHINE,
                "sys/fs/cgroup/memory/memory.limit_in_bytes": 2 * GIB,
                "sys/fs/cgroup/memory/memory.usage_in_bytes": GIB,
            },
            GIB,
        ),
        ({"sys/fs/cgroup/memory.max": GIB, "sys/fs/cgroup/memory.current": 2 * GIB}, 0),
    ],
)
def test_the_least_of_what_machine_and_groups_leave_is_available(files, expected, tmp_path):
    assert available_memory(write(tmp_path, files)) == expected


def test_a_system_without_such_files_offers_its_installed_memory(tmp_path):
    assert available_memory(tmp_path) > 2**20


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [(512, "512 bytes"), (1_500, "1.5 KB"), (41_200_000_000, "41.2 GB"), (2 * 10**12, "2.0 TB")],
)
def test_bytes_are_written_with_a_unit(num_bytes, words):
    assert format_bytes(num_bytes) == words
