"""Numbers and names as a reader sees them."""

import pytest

from limbeck.report.wording import (
    order_known,
    shorten,
    shorten_middle,
    text_bytes,
    text_count,
    text_moment,
    text_percent,
    text_points,
    text_rounds,
    text_seconds,
    text_spread,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0321, "+3.2"),
        (-0.0321, "−3.2"),
        (0.0004, "0.0"),
        (-0.0004, "0.0"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_differences_are_signed_points(value, expected):
    assert text_points(value) == expected


def test_a_mean_without_deviation_stands_alone():
    assert text_spread(0.05, None) == "+5.0"
    assert text_spread(0.05, 0.004) == "+5.0 ± 0.4"


@pytest.mark.parametrize(
    ("num_bytes", "expected"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e6, "2.5 MB"), (3e12, "3.0 TB")],
)
def test_bytes_have_decimal_units(num_bytes, expected):
    assert text_bytes(num_bytes) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.84, "0.8 s"), (250.2, "250 s"), (850, "14 min 10 s"), (7500, "2 h 5 min"), (None, "–")],
)
def test_durations_keep_a_readable_unit(seconds, expected):
    assert text_seconds(seconds) == expected


def test_moments_lose_their_seconds():
    assert text_moment("2026-03-01T09:30:12+00:00") == "2026-03-01 09:30 UTC"
    assert text_moment("yesterday") == "yesterday"


def test_counts_rounds_and_percentages():
    assert (text_count(1, "seed"), text_count(3, "seed")) == ("1 seed", "3 seeds")
    assert (text_rounds(3.0), text_rounds(2.667)) == ("3", "2.7")
    assert text_percent(0.714) == "71.4\N{NARROW NO-BREAK SPACE}%"


def test_known_names_come_first_in_their_order():
    assert order_known(["b", "zz", "a", "aa"], ("a", "b", "c")) == ["a", "b", "aa", "zz"]


def test_long_names_keep_their_ends():
    assert shorten("automobile", 5) == "auto…"
    assert shorten_middle("resnet20-cifar10", 10) == "resnet…r10"
    assert shorten_middle("resnet20", 10) == "resnet20"
