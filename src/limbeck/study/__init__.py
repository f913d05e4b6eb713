"""Studies: a spec becomes a plan of runs, the runs become results, and an interrupted study goes on."""

from limbeck.study.budget import Choice, parse_duration
from limbeck.study.plan import Plan, Run, make_plan
from limbeck.study.run import Crew, Progress, StudyOutcome, run_study
from limbeck.study.spec import StudySpec, list_builtin, load_spec, parse_spec

__all__ = [
    "Choice",
    "Crew",
    "Plan",
    "Progress",
    "Run",
    "StudyOutcome",
    "StudySpec",
    "list_builtin",
    "load_spec",
    "make_plan",
    "parse_duration",
    "parse_spec",
    "run_study",
]
