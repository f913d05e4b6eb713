"""Errors are one sentence with rule, value and remedy."""

import pytest

from limbeck.core.errors import InputError, enumerate_words, require, require_known, suggest


def test_a_kept_rule_says_nothing():
    require(True, "x > 0", "x=1", "Nothing to do.")


def test_a_broken_rule_is_named_with_value_and_remedy():
    with pytest.raises(InputError) as caught:
        require(False, "alpha > 0", "alpha=-0.1", "Use `uniform` for an even split.")
    assert str(caught.value) == "`alpha > 0` must hold, but got alpha=-0.1. Use `uniform` for an even split."


def test_the_nearest_name_is_suggested():
    assert suggest("dirichlt", ["uniform", "dirichlet"]).startswith("Did you mean `dirichlet`?")
    assert suggest("zzz", ["b", "a"]) == "Valid: a, b."


def test_an_unknown_name_is_refused_with_the_valid_ones():
    require_known("technique", "kd", ["kd"])
    with pytest.raises(InputError, match=r"Unknown technique `dk`\. Did you mean `kd`"):
        require_known("technique", "dk", ["kd", "dml"])


@pytest.mark.parametrize(("words", "text"), [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b and c")])
def test_words_are_enumerated_as_in_a_sentence(words, text):
    assert enumerate_words(words) == text
