"""A worker process: reads runs as lines of JSON, answers with their results as lines of JSON.

Started by `limbeck.study.pool` as ``python -m limbeck.study.worker``. It uses one thread, so that the
numbers do not depend on how many workers there are, and ends when its input does, also in the middle of a
run: no worker outlives its study.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

import torch

from limbeck.core.device import pick_device
from limbeck.core.errors import InputError, RunError
from limbeck.data import read_data_set
from limbeck.study.execute import Workbench, execute
from limbeck.study.plan import Run
from limbeck.study.spec import StudySpec


def main() -> None:
    """Serve runs until the input ends, and the process with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    bench = make_workbench(json.loads(lines.get()))
    while True:
        _answer(answers, serve(json.loads(lines.get()), bench, log=sys.stderr))


def _listen(lines: "queue.SimpleQueue[str]") -> None:
    """Take in lines; end the process when there are no more."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def make_workbench(order: dict[str, Any]) -> Workbench:
    """What a worker of one thread needs for the runs of a study.

    Args:
        order: A `WorkOrder` by name.
    """
    torch.set_num_threads(1)
    return Workbench(
        spec=StudySpec.model_validate(order["spec"]),
        data=read_data_set(Path(order["data"])),
        folder=Path(order["folder"]),
        device=pick_device(order["device"]),
    )


def serve(run: dict[str, Any], bench: Workbench, *, log: TextIO) -> dict[str, Any]:
    """Do a run, given by name: ``id`` and either ``result`` or ``error``."""
    try:
        return {"id": run["id"], "result": execute(Run(**run), bench)}
    except (InputError, RunError) as error:
        return {"id": run["id"], "error": str(error)}
    except Exception as error:  # a bug costs its run, not the study: the log keeps the trace
        traceback.print_exc(file=log)
        return {"id": run["id"], "error": f"{type(error).__name__}: {error}; see workers.log for the trace"}


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer, allow_nan=False) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
