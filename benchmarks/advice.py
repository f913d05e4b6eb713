"""How good is the advice? Every scenario is left out in turn and advised on from the others.

``python -m benchmarks.advice`` judges the table that ships with the package (``--table FOLDER`` another one
that holds `measured.parquet` and `federations.parquet`), prints the regret of the advice and of its rivals,
and writes `advice.json` and a figure.

Regret is the gain of the best setting that was tried in a case (on the test samples, seed by seed) minus the
gain of the student that a rule leaves behind, averaged over seeds, then over cases. A rule may check: the
new student is kept only if its accuracy on the validation samples rose by the check's margin, and of several
tries the best on validation is kept. Rivals are shown with and without that check, and with as many tries.
The width of the neighbourhood, the fixed settings of the honest rivals and the regressors' strength are
chosen within the training scenarios.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge

from benchmarks.advice_federation import judge_federations
from benchmarks.advice_figure import write_figure
from benchmarks.advice_table import list_kinds
from benchmarks.measure import describe_run, write_json
from limbeck.advise.folds import (
    SHORTLIST,
    choose_bandwidth,
    list_folds,
    measure_reach,
    recommend_held_out,
    take_best,
)
from limbeck.advise.measured import CASE, SHIPPED, SHIPPED_FEDERATIONS, Measured, Setting, read_measured
from limbeck.advise.predict import Numbers, average, fit_scale, list_values, make_shortlist

RESULTS = Path(__file__).parent / "results"
FIGURE = Path(__file__).parents[1] / "docs" / "results" / "advice" / "regret.png"
CONSTANTS = {"vanilla kd": ("kd", 1.0, 0.5), "finetune": ("finetune", None, None)}
HARDEST = "best fixed, hindsight"
SIZES = (1, 2, 3, SHORTLIST)
STRENGTHS = (3.0, 30.0, 300.0)
NUM_TREES = 100

Rule = Callable[[Measured, Measured], list[list[int]]]
"""From the measured cases and the held-out ones to a shortlist for each of the latter."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of the students that a rule was followed for.

    Attributes:
        regret: Mean gain missed, a fraction.
        gain: Mean gain, a fraction.
        worse_transfers: Share of transfers (seeds) that left the student worse than it was.
        worse_cases: Share of cases whose mean over seeds is below 0.
        left_alone: Share of transfers in which the student stayed what it was.
        tries: Mean number of transfers it took.
    """

    regret: float
    gain: float
    worse_transfers: float
    worse_cases: float
    left_alone: float
    tries: float


def main() -> None:
    """Judge the advice, print it and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--table", type=Path, default=SHIPPED.parent)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    options = parser.parse_args()
    measured = read_measured(options.table / SHIPPED.name, options.table / SHIPPED_FEDERATIONS.name)
    result = judge(measured)
    _print_result(result)
    write_json({"name": "advice", **result, **describe_run()}, options.out)
    write_figure(result, options.figure)


def judge(measured: Measured) -> dict[str, Any]:
    """The verdicts on the advice and its rivals, with what they were reached on."""
    kinds = list_kinds(measured)
    hindsight = find_hindsight(measured)
    verdicts = {
        name: asdict(measure(measured, shortlists, checks=checks))
        for name, shortlists, checks in _follow_rules(measured, kinds, hindsight)
    }
    hardest = verdicts[HARDEST]["regret"]
    for verdict in verdicts.values():
        verdict["regret_removed"] = 1 - verdict["regret"] / hardest if hardest > 0 else None
    return {
        "question": "Regret of advice in scenarios that it has not seen, in accuracy",
        "verdicts": verdicts,
        "num_scenarios": measured.cases["scenario"].n_unique(),
        "num_cases": measured.cases.select(CASE).n_unique(),
        "num_transfers": measured.cases.height,
        "num_settings": len(measured.settings),
        "hindsight": measured.settings[hindsight].label,
        "table": dict(measured.about),
        "far": {kind: _share_far(measured, names) for kind, names in kinds.items()},
        "federation": judge_federations(measured) if measured.federations.height else None,
    }


def measure(measured: Measured, shortlists: Sequence[Sequence[int]], *, checks: bool) -> Verdict:
    """What became of the students when a shortlist was followed in each case.

    Args:
        measured: The cases.
        shortlists: One per row; without a check only its first setting is used.
        checks: Whether a new student has to pass the check.
    """
    rows = np.arange(measured.cases.height)
    if checks:
        gains = take_best(measured, shortlists)
    else:
        firsts = np.array([shortlist[0] if shortlist else 0 for shortlist in shortlists])
        gains = measured.gains[rows, firsts].astype(float)
    best = np.nanmax(measured.gains, axis=1)
    groups = measured.case_numbers
    sizes = np.bincount(groups)
    by_case = np.bincount(groups, gains) / sizes
    missed = np.bincount(groups, best - gains) / sizes
    return Verdict(
        regret=float(missed.mean()),
        gain=float(by_case.mean()),
        worse_transfers=float((gains < 0).mean()),
        worse_cases=float((by_case < 0).mean()),
        left_alone=float((gains == 0).mean()),
        tries=float(np.mean([len(shortlist) if checks else bool(shortlist) for shortlist in shortlists])),
    )


def _follow_rules(
    measured: Measured, kinds: Mapping[str, Sequence[str]], hindsight: int
) -> Iterator[tuple[str, list[list[int]], bool]]:
    """Every rule's name, its shortlists and whether its students are checked."""
    for kind, names in kinds.items():
        shortlists = _hold_out(measured, _advise_by(names))
        for size in SIZES:
            yield f"advice by {kind}, {size} checked", [each[:size] for each in shortlists], True
        yield f"advice by {kind}, not checked", _hold_out(measured, _advise_unchecked(names)), False
    yield "leave alone", [[] for _ in range(measured.cases.height)], False
    for name, number in [(HARDEST, hindsight), *_list_constants(measured)]:
        everywhere = apply_everywhere(measured, number)
        yield name, everywhere, False
        yield f"{name}, checked", everywhere, True
    for size in SIZES:
        fixed = _hold_out(measured, _fix_checked(size))
        yield f"best fixed, honest, {size} checked", fixed, True
    yield "best fixed, honest", _hold_out(measured, _fix_unchecked), False
    for name, rule in (("ridge", _regress_ridge), ("forest", _regress_forest)):
        for kind, names in kinds.items():
            shortlists = _hold_out(measured, lambda seen, held, r=rule, n=names: r(seen, held, n))
            yield f"{name} by {kind}, 1 checked", [each[:1] for each in shortlists], True
            yield f"{name} by {kind}, {SHORTLIST} checked", shortlists, True
    every: list[list[int]] = [np.flatnonzero(~np.isnan(row))[1:].tolist() for row in measured.gains]
    yield "full grid and all techniques, checked", every, True


def _hold_out(measured: Measured, rule: Rule) -> list[list[int]]:
    shortlists: list[list[int]] = [[] for _ in range(measured.cases.height)]
    for _, others, own in list_folds(measured):
        for row, shortlist in zip(own, rule(measured.take(others), measured.take(own)), strict=True):
            shortlists[row] = shortlist
    return shortlists


def _advise_by(names: Sequence[str]) -> Rule:
    def advise(seen: Measured, held_out: Measured) -> list[list[int]]:
        bandwidth = choose_bandwidth(seen, names)
        return recommend_held_out(seen, held_out, names, bandwidth, size=SHORTLIST).shortlists

    return advise


def _advise_unchecked(names: Sequence[str]) -> Rule:
    def advise(seen: Measured, held_out: Measured) -> list[list[int]]:
        picks = recommend_held_out(seen, held_out, names, choose_bandwidth(seen, names))
        return [[number] for number in picks.unchecked.tolist()]

    return advise


def _list_constants(measured: Measured) -> Iterator[tuple[str, int]]:
    """Settings that people use everywhere, with their numbers."""
    for place in ("student", "teacher"):
        for name, (technique, temperature, weight) in CONSTANTS.items():
            setting = Setting(technique=technique, temperature=temperature, weight=weight, place=place)
            if setting in measured.settings:
                yield f"always {name} on the {place}'s data", measured.settings.index(setting)


def apply_everywhere(measured: Measured, number: int) -> list[list[int]]:
    """One setting in every case; where it was not tried, the same on the other's data, or else nothing."""
    wanted = measured.settings[number]
    twins = [
        place
        for place, setting in enumerate(measured.settings)
        if place != number and replace(setting, place=wanted.place) == wanted
    ]
    is_tried = _list_tried(measured)
    return [[place for place in (number, *twins) if row[place]][:1] for row in is_tried]


def find_hindsight(measured: Measured) -> int:
    """The number of the setting with the largest mean gain over cases, used in all of them."""
    gains = [
        measure(measured, apply_everywhere(measured, number), checks=False).gain
        for number in range(1, len(measured.settings))
    ]
    return 1 + int(np.argmax(gains))


def _fix_checked(size: int) -> Rule:
    """The same shortlist everywhere, chosen on the training scenarios."""

    def fix(seen: Measured, held_out: Measured) -> list[list[int]]:
        checked, even = seen.checked_gains.astype(float), np.ones(seen.cases.height)
        return [make_shortlist(checked, even, size=size, allowed=row) for row in _list_tried(held_out)]

    return fix


def _fix_unchecked(seen: Measured, held_out: Measured) -> list[list[int]]:
    """The same setting everywhere, the one with the largest mean gain on the training scenarios."""
    mean = average(seen.gains.astype(float), np.zeros(seen.cases.height))
    mean = np.where(np.isnan(mean), -np.inf, mean)
    return [[int(np.where(row, mean, -np.inf).argmax())] for row in _list_tried(held_out)]


def _list_tried(held_out: Measured) -> np.ndarray:
    """Which settings were tried in each case, bool of shape [cases, settings]."""
    return np.isfinite(held_out.gains)


def _regress_ridge(seen: Measured, held_out: Measured, names: Sequence[str]) -> list[list[int]]:
    strength = _choose_strength(seen, names)
    return _shortlist_by(_predict_ridge(seen, held_out, names, strength), held_out)


def _choose_strength(seen: Measured, names: Sequence[str]) -> float:
    totals = dict.fromkeys(STRENGTHS, 0.0)
    for _, others, own in list_folds(seen):
        inner, held_out = seen.take(others), seen.take(own)
        for strength in STRENGTHS:
            shortlists = _shortlist_by(_predict_ridge(inner, held_out, names, strength), held_out)
            totals[strength] += float(take_best(held_out, shortlists).sum())
    return max(totals, key=lambda strength: totals[strength])


def _predict_ridge(seen: Measured, held_out: Measured, names: Sequence[str], strength: float) -> Numbers:
    scale = fit_scale(seen.cases, names)
    points = (list_values(held_out.cases, scale.names) - scale.mean) / scale.deviation
    return Ridge(alpha=strength).fit(scale.points, _fill(seen)).predict(points)


def _regress_forest(seen: Measured, held_out: Measured, names: Sequence[str]) -> list[list[int]]:
    scale = fit_scale(seen.cases, names)
    points = (list_values(held_out.cases, scale.names) - scale.mean) / scale.deviation
    forest = ExtraTreesRegressor(NUM_TREES, min_samples_leaf=3, max_features=0.5, random_state=0)
    return _shortlist_by(forest.fit(scale.points, _fill(seen)).predict(points), held_out)


def _fill(seen: Measured) -> Numbers:
    """Gains after the check, those not measured replaced by the setting's mean."""
    checked = seen.checked_gains.astype(float)
    return np.where(np.isnan(checked), average(checked, np.zeros(len(checked))), checked)


def _shortlist_by(predicted: Numbers, held_out: Measured) -> list[list[int]]:
    """The settings with the largest predicted gains of those that were tried."""
    scores = np.where(np.isnan(held_out.gains), -np.inf, predicted)
    scores[:, 0] = -np.inf
    return [np.argsort(-row, kind="stable")[:SHORTLIST].tolist() for row in scores]


def _share_far(measured: Measured, names: Sequence[str]) -> float:
    """The share of held-out cases of which advice says that it knows nothing."""
    is_far = np.zeros(measured.cases.height)
    for _, others, own in list_folds(measured):
        seen = measured.take(others)
        picks = recommend_held_out(seen, measured.take(own), names, 1.0, size=1)
        is_far[own] = picks.distances > measure_reach(seen, names)
    return float(is_far.mean())


def _print_result(result: dict[str, Any]) -> None:
    print(
        f"{result['num_cases']} cases, {result['num_transfers']} transfers, "
        f"{result['num_scenarios']} scenarios, {result['num_settings']} settings"
    )
    for name, verdict in sorted(result["verdicts"].items(), key=lambda item: item[1]["regret"]):
        print(
            f"  {name:<48} regret {100 * verdict['regret']:5.2f} "
            f"({_write_removed(verdict)} % removed), "
            f"worse {100 * verdict['worse_transfers']:4.1f} % / {100 * verdict['worse_cases']:4.1f} %, "
            f"alone {100 * verdict['left_alone']:3.0f} %, {verdict['tries']:.1f} tries"
        )
    print(f"  far from all that was measured: {result['far']}")
    print(f"  rounds as a share of scratch's: {result['federation']}")


def _write_removed(verdict: Mapping[str, Any]) -> str:
    removed = verdict["regret_removed"]
    return "   –" if removed is None else f"{100 * removed:+4.0f}"


if __name__ == "__main__":
    main()
