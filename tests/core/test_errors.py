"""Errors are one sentence with rule, value and remedy."""

import pytest

from limbeck.core.errors import (
    InputError,
    count,
    describe_error,
    enumerate_words,
    name_type,
    require,
    require_known,
    suggest,
)


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


def test_a_rule_that_quotes_names_is_not_quoted_again():
    with pytest.raises(InputError) as caught:
        require(False, "`kd` has 1 teacher or more", "0 teachers", "Give one.")
    assert str(caught.value) == "`kd` has 1 teacher or more must hold, but got 0 teachers. Give one."


def test_up_to_twenty_valid_names_are_all_listed():
    names = [f"n{number:04}" for number in range(20)]
    assert suggest("zzz", names) == f"Valid: {', '.join(names)}."


def test_of_thousands_of_names_the_ten_nearest_are_listed():
    names = [f"model{number:04}" for number in range(1, 1211)]
    text = suggest("model0777x", names)
    assert text.startswith("Did you mean `model0777`? Valid: model0777, ")
    assert text.count(", ") == 9
    assert text.endswith(" and 1,200 more.")


def test_where_no_name_is_near_the_first_ten_of_many_are_listed():
    names = [f"n{number:04}" for number in range(1, 1211)]
    assert suggest("zzz", names) == f"Valid: {', '.join(names[:10])} and 1,200 more."


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "tensor", "1 tensor"), (0, "tensor", "0 tensors"), (1200, "row", "1200 rows")],
)
def test_counted_things_are_singular_or_plural(number, noun, text):
    assert count(number, noun) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1, "an int"), ("a", "a str"), (None, "a NoneType"), ({}, "a dict")]
)
def test_types_have_their_article(value, text):
    assert name_type(value) == text


def test_an_error_of_the_system_is_described_in_words():
    assert describe_error(FileNotFoundError(2, "No such file or directory")) == "no such file or directory"
    error = IsADirectoryError(21, "Is a directory", "a.npz")
    assert describe_error(error) == "is a directory: 'a.npz'"
    assert describe_error(OSError("the socket closed.")) == "the socket closed"
    assert describe_error(EOFError()) == "EOFError"
