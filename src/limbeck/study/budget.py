"""A study within a budget of time: which cells of its plan fit, and what is left out.

A cell is what has to stay whole to be compared: all techniques and the grid of one pair of models on one
transfer set; all starts of one strategy in one scenario. Cells are taken in one fixed order, and a budget
takes its beginning: a larger budget does the same and more.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from limbeck.core.errors import InputError, require
from limbeck.core.explain import explain_validation
from limbeck.core.files import explain_disk_errors, write_text
from limbeck.core.fingerprint import canonical_json
from limbeck.core.spec_files import Part
from limbeck.study.balance import order_evenly
from limbeck.study.plan import FederatedCell, PartName, Plan, Run, TransferCell
from limbeck.study.speed import Speed
from limbeck.techniques import MutualTechnique, get_technique

BUDGET_FILE = "budget.json"
BUDGET_FORMAT = 1
# A difference between techniques is taken per seed: with one seed it has no spread to judge it by.
SEEDS_FIRST = 2

Cell = TransferCell | FederatedCell
Unit = tuple[Cell, ...]
"""Cells that are kept or left out together."""

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")


class Share(Part):
    """How many cells with a value on an axis are done.

    Attributes:
        part: Part of the study.
        axis: What varies, as the tables call it; `student_arch/teacher_arch` for a pair of architectures.
        value: The value.
        kept: Cells that are done.
        left_out: Cells that are not.
    """

    part: PartName
    axis: str
    value: str
    kept: int
    left_out: int


class Choice(Part):
    """What a budget takes from a plan.

    Attributes:
        format: Format of the file.
        spec_hash: The spec that was planned.
        seconds: The budget, wall time of the runs.
        workers: How many runs are done at a time.
        speeds: What the estimate rests on.
        estimated_seconds: How long the chosen runs take together on so many workers.
        estimated_seconds_of_all: How long the whole plan takes.
        runs: Chosen runs.
        runs_left_out: The others.
        cells: The chosen cells.
        shares: What was kept and left out, by axis and value.
    """

    format: Literal[1] = BUDGET_FORMAT
    spec_hash: str
    seconds: float
    workers: int
    speeds: tuple[Speed, ...]
    estimated_seconds: float
    estimated_seconds_of_all: float
    runs: int
    runs_left_out: int
    cells: tuple[dict[str, Any], ...]
    shares: tuple[Share, ...]


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``90s``, ``30m``, ``2h`` or ``1h30m``.

    Raises:
        InputError: When it is none, or nothing.
    """
    compact = text.replace(" ", "").lower()
    seconds = 0.0
    if _DURATION.fullmatch(compact):
        seconds = sum(float(part[:-1]) * _UNIT_SECONDS[part[-1]] for part in re.findall(r"[\d.]+\D", compact))
    require(
        seconds > 0,
        "a duration is a number above 0 with `s`, `m`, `h` or `d`",
        f"`{text}`",
        "Write it like 90s, 30m, 2h or 1h30m.",
    )
    return seconds


def choose(plan: Plan, *, spec_hash: str, seconds: float, workers: int, speeds: Sequence[Speed]) -> Choice:
    """The longest beginning of the plan's cells, in balanced order, that fits into a budget.

    Transfer and federated part each get the share of the time that they have of the whole plan. Each case is
    taken with `SEEDS_FIRST` seeds before the next one, because its differences are paired over seeds; which
    two alternates. Cases come in an order that is balanced over scenarios, pairs of clients, architectures,
    transfer sets and seeds, and only when all are there with two seeds do the further seeds follow.
    Strategies of federated learning are compared with the first of the spec: that one comes in every
    scenario before the others, which then come with the same seeds; each with all starts. What several cells
    need, such as pre-trained models, is counted once.

    Law: the same arguments give the same choice, and a larger budget gives all cells of a smaller one.

    Args:
        plan: The whole plan.
        spec_hash: The spec that was planned.
        seconds: Wall time of the runs.
        workers: How many runs are done at a time.
        speeds: How fast they are done.

    Raises:
        InputError: When not even the first cell fits.
    """
    costs = estimate_seconds(plan, speeds)
    units = _interleave(order_units(plan), costs)
    reached = _add_up(units, costs)
    num_kept = bisect_right(reached, seconds * workers)
    require(
        num_kept > 0,
        "a budget holds at least one cell",
        f"{seconds:.3g} seconds, and the first takes about {reached[0] / workers:.3g}",
        "Allow more time.",
    )
    kept = [cell for unit in units[:num_kept] for cell in unit]
    num_runs = len({run for cell in kept for run in runs_of(cell)})
    return Choice(
        spec_hash=spec_hash,
        seconds=seconds,
        workers=workers,
        speeds=tuple(speeds),
        estimated_seconds=reached[num_kept - 1] / workers,
        estimated_seconds_of_all=sum(costs.values()) / workers,
        runs=num_runs,
        runs_left_out=len(plan.runs) - num_runs,
        cells=tuple(identify(cell) for cell in kept),
        shares=tuple(count_shares(plan, kept)),
    )


def keep(plan: Plan, choice: Choice) -> Plan:
    """The part of a plan that was chosen.

    Raises:
        InputError: When a chosen cell is not in the plan.
    """
    cells = {canonical_json(identify(cell)): cell for cell in (*plan.transfer_cells, *plan.federated_cells)}
    wanted = {canonical_json(cell) for cell in choice.cells}
    require(
        wanted <= cells.keys(),
        f"`{BUDGET_FILE}` names cells of the plan",
        min(wanted - cells.keys(), default=""),
        "Delete the file to choose anew.",
    )
    kept = [cell for key, cell in cells.items() if key in wanted]
    needed = {run for cell in kept for run in runs_of(cell)}
    splits = {
        ("transfer" if isinstance(cell, TransferCell) else "federated", cell.scenario.name, cell.seed)
        for cell in kept
    }
    return replace(
        plan,
        runs={run_id: run for run_id, run in plan.runs.items() if run_id in needed},
        transfer_cells=tuple(cell for cell in kept if isinstance(cell, TransferCell)),
        federated_cells=tuple(cell for cell in kept if isinstance(cell, FederatedCell)),
        partitions={key: partition for key, partition in plan.partitions.items() if key in splits},
    )


def order_units(plan: Plan) -> dict[PartName, list[Unit]]:
    """What is kept or left out together, part by part, in the order in which a budget takes it."""
    return {
        "transfer": [(cell,) for cell in _order_transfers(plan.transfer_cells)],
        "federated": _order_federations(plan.federated_cells),
    }


def _order_transfers(cells: Sequence[TransferCell]) -> list[TransferCell]:
    """Every case with two seeds first, then the rest; both parts balanced."""
    by_case: dict[tuple[Any, ...], dict[int, TransferCell]] = {}
    for cell in cells:
        by_case.setdefault(_case_of(cell), {})[cell.seed] = cell
    seeds = list(dict.fromkeys(cell.seed for cell in cells))
    # A case may begin at any seed; only one of these ways is taken.
    ways = [(case, place) for case in by_case for place in range(len(seeds))]
    order = order_evenly([(*case, place) for case, place in ways], [case for case, _ in ways])
    first, rest = [], []
    for case, place in (ways[index] for index in order):
        turned = seeds[place:] + seeds[:place]
        first.extend(by_case[case][seed] for seed in turned[:SEEDS_FIRST])
        rest.extend(by_case[case][seed] for seed in turned[SEEDS_FIRST:])
    order = order_evenly([(*_case_of(cell), cell.seed) for cell in rest])
    return first + [rest[index] for index in order]


def _case_of(cell: TransferCell) -> tuple[Any, ...]:
    """What a cell is about, but for its seed, axis by axis."""
    scenario = cell.scenario.name
    return scenario, (scenario, cell.pair), _name_architectures(cell), cell.transfer_set


def _order_federations(cells: Sequence[FederatedCell]) -> list[Unit]:
    """All starts of a strategy in a scenario at a seed together; the first strategy everywhere first."""
    units: dict[tuple[str, str, int], list[FederatedCell]] = {}
    for cell in cells:
        units.setdefault((cell.scenario.name, cell.strategy.label, cell.seed), []).append(cell)
    seeds = list(dict.fromkeys(cell.seed for cell in cells))
    scenarios = list(dict.fromkeys(cell.scenario.name for cell in cells))
    places = {scenario: number % len(seeds) for number, scenario in enumerate(scenarios)}
    turned = {scenario: seeds[place:] + seeds[:place] for scenario, place in places.items()}
    first_strategy = cells[0].strategy.label if cells else ""

    def rank(key: tuple[str, str, int]) -> tuple[bool, bool]:
        scenario, strategy, seed = key
        return turned[scenario].index(seed) >= SEEDS_FIRST, strategy != first_strategy

    ordered = []
    for wanted in sorted({rank(key) for key in units}):
        keys = [key for key in units if rank(key) == wanted]
        cases = list(dict.fromkeys(key[:2] for key in keys))
        for index in order_evenly(cases):
            ordered += [tuple(units[key]) for key in keys if key[:2] == cases[index]]
    return ordered


def _interleave(units: Mapping[PartName, Sequence[Unit]], costs: Mapping[str, float]) -> list[Unit]:
    """The units of both parts, so that at any point each part has about the same share of its work done."""
    steps = []
    for number, waiting in enumerate(units.values()):
        reached = _add_up(waiting, costs)
        steps += [(part / reached[-1], number, place) for place, part in enumerate(reached)]
    ordered = list(units.values())
    return [ordered[number][place] for _, number, place in sorted(steps)]


def _add_up(units: Sequence[Unit], costs: Mapping[str, float]) -> list[float]:
    """Seconds that one worker has taken after each unit; what several units need counts once."""
    done: set[str] = set()
    reached, spent = [], 0.0
    for unit in units:
        new = dict.fromkeys(run for cell in unit for run in runs_of(cell) if run not in done)
        done.update(new)
        spent += sum(costs[run] for run in new)
        reached.append(spent)
    return reached


def estimate_seconds(plan: Plan, speeds: Sequence[Speed]) -> dict[str, float]:
    """Seconds that each run of a plan takes one worker, by its id."""
    paces = {(speed.part, speed.kind, speed.arch): speed.seconds_per_sample for speed in speeds}

    def pace_of(run: Run) -> float:
        config = run.config
        if run.kind != "transfer":
            return paces[config["part"], run.kind, config["arch"]]
        student, teacher = (plan.runs[config[role]].config["arch"] for role in ("student", "teacher"))
        is_mutual = isinstance(get_technique(config["technique"]), MutualTechnique)
        archs = (student, teacher) if is_mutual else (student,)
        return sum(paces["transfer", "transfer", arch] for arch in archs) / len(archs)

    return {run_id: run.cost * pace_of(run) for run_id, run in plan.runs.items()}


def runs_of(cell: Cell) -> list[str]:
    """Every run that a cell needs, the pre-trained models included."""
    if isinstance(cell, FederatedCell):
        return [*cell.client_runs, cell.run]
    return [cell.student_run, cell.teacher_run, *cell.runs.values(), *cell.grid.values()]


def identify(cell: Cell) -> dict[str, Any]:
    """What tells a cell from the others of its plan, by the names of the tables' columns."""
    place = {"scenario": cell.scenario.name, "seed": cell.seed}
    if isinstance(cell, FederatedCell):
        return {"part": "federated", **place, "start": cell.start, "federated_strategy": cell.strategy.label}
    return {
        "part": "transfer",
        **place,
        "student_client": cell.pair[0],
        "teacher_client": cell.pair[1],
        "student_arch": cell.architectures.student,
        "teacher_arch": cell.architectures.teacher,
        "transfer_set": cell.transfer_set,
    }


def count_shares(plan: Plan, kept: Iterable[Cell]) -> Iterator[Share]:
    """What was kept and left out of a plan, by axis and value."""
    counts = Counter(value for cell in kept for value in _values_of(cell))
    totals = Counter(
        value for cell in (*plan.transfer_cells, *plan.federated_cells) for value in _values_of(cell)
    )
    for (part, axis, value), total in totals.items():
        number = counts[part, axis, value]
        yield Share(part=part, axis=axis, value=value, kept=number, left_out=total - number)


def _values_of(cell: Cell) -> list[tuple[PartName, str, str]]:
    if isinstance(cell, FederatedCell):
        axes = {"start": cell.start, "federated_strategy": cell.strategy.label}
        part: PartName = "federated"
    else:
        axes = {
            "student_arch/teacher_arch": _name_architectures(cell),
            "transfer_set": cell.transfer_set,
        }
        part = "transfer"
    named = {"scenario": cell.scenario.name, "seed": str(cell.seed), **axes}
    return [(part, axis, value) for axis, value in named.items()]


def _name_architectures(cell: TransferCell) -> str:
    return f"{cell.architectures.student}/{cell.architectures.teacher}"


def choose_within(
    plan: Plan,
    *,
    spec_hash: str,
    seconds: float,
    folder: Path,
    workers: int,
    measure_fn: Callable[[], tuple[Speed, ...]],
) -> Choice:
    """What a budget takes from a plan, kept in the study's folder: the same budget finds the same again.

    Args:
        plan: The whole plan.
        spec_hash: The spec that was planned.
        seconds: Wall time of the runs.
        folder: The study's.
        workers: How many runs are done at a time.
        measure_fn: Measures how fast they are done; called where the folder does not know.

    Raises:
        InputError: When not even the first cell fits, or the file in the folder is damaged.
        RunError: When the disk refuses.
    """
    known = _read_own(folder, spec_hash)
    speeds = measure_fn() if known is None else known.speeds
    known = _read_own(folder, spec_hash)  # another call may have chosen meanwhile
    if known is not None and known.seconds == seconds:
        return known
    choice = choose(plan, spec_hash=spec_hash, seconds=seconds, workers=workers, speeds=speeds)
    write_text(folder / BUDGET_FILE, choice.model_dump_json(indent=1) + "\n")
    return choice


def _read_own(folder: Path, spec_hash: str) -> Choice | None:
    known = read_choice(folder)
    return None if known is None or known.spec_hash != spec_hash else known


def read_choice(folder: Path) -> Choice | None:
    """What was chosen in a study's folder before, None where nothing was.

    Raises:
        InputError: When the file there is damaged.
    """
    path = folder / BUDGET_FILE
    if not path.exists():
        return None
    try:
        with explain_disk_errors(path):
            return Choice.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        reason = (
            explain_validation(error, Choice, origin=str(path))
            if isinstance(error, ValidationError)
            else str(error)
        )
        raise InputError(f"`{path}` must be whole, but: {reason} Delete it to choose anew.") from error


def describe_choice(choice: Choice) -> dict[str, Any]:
    """What an account of the study says of it, ready for JSON."""
    return choice.model_dump(mode="json", exclude={"format", "spec_hash", "speeds", "cells"})
