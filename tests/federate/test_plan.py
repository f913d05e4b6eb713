"""A plan is checked when it is built."""

import json
import math

import pytest

from limbeck.core.errors import InputError
from limbeck.engine import Training
from limbeck.federate import Plan, Privacy

LOCAL = Training(epochs=2, lr=0.4)


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("rounds", -1, "`rounds >= 0`"),
        ("lr_decay", 0, "`0 < lr_decay <= 1`"),
        ("lr_decay", 1.1, "`0 < lr_decay <= 1`"),
        ("lr_decay", math.nan, "`0 < lr_decay <= 1`"),
        ("participation", 0, "`0 < participation <= 1`"),
        ("participation", 1.5, "`0 < participation <= 1`"),
        ("min_replies", 0, "`min_replies >= 1`"),
        ("trim", 0.5, "`0 <= trim < 0.5`"),
        ("trim", -0.1, "`0 <= trim < 0.5`"),
        ("change_limit", 0, "`change_limit > 0`"),
        ("weighting", "sample", "Did you mean `samples`"),
        ("aggregation", "mode", "Unknown aggregation `mode`"),
        ("logit_format", "float8", "Unknown logit format `float8`"),
    ],
)
def test_a_plan_out_of_range_is_refused(setting, value, rule):
    with pytest.raises(InputError, match=rule):
        Plan(**{"rounds": 1, "local": LOCAL, setting: value})


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"clip_norm": 0}, "clip_norm > 0"),
        ({"clip_norm": math.inf}, "clip_norm > 0"),
        ({"clip_norm": math.nan}, "clip_norm > 0"),
        ({"clip_norm": 1, "noise_multiplier": -1}, "noise_multiplier >= 0"),
        ({"clip_norm": 1, "noise_multiplier": math.inf}, "noise_multiplier >= 0"),
        ({"clip_norm": 1, "delta": 0}, "0 < delta < 1"),
        ({"clip_norm": 1, "delta": 1}, "0 < delta < 1"),
    ],
)
def test_privacy_out_of_range_is_refused(changes, rule):
    with pytest.raises(InputError, match=rule):
        Privacy(**changes)


def test_the_learning_rate_decays_from_round_to_round():
    plan = Plan(rounds=3, local=LOCAL, lr_decay=0.5)
    assert [plan.local_in(number).lr for number in (1, 2, 3)] == [0.4, 0.2, 0.1]
    assert plan.local_in(3).epochs == 2
    assert Plan(rounds=3, local=LOCAL).local_in(3) == LOCAL


def test_a_plan_can_be_written_as_json():
    plan = Plan(rounds=3, local=LOCAL, privacy=Privacy(clip_norm=1.0))
    said = json.loads(json.dumps(plan.to_dict()))
    assert said["local"]["lr"] == 0.4
    assert said["privacy"] == {"clip_norm": 1.0, "noise_multiplier": 0.0, "delta": 1e-5}
