"""Normalizations by name, by number, and as the words of the command line."""

import pytest

from limbeck.core.errors import InputError
from limbeck.data import Normalization
from limbeck.models import NORMALIZATIONS, Preprocessing, parse_normalization
from limbeck.models.preprocessing import override, resolve_input_size, resolve_normalization


def test_the_published_constants_are_the_published_ones():
    assert NORMALIZATIONS["imagenet"].mean == (0.485, 0.456, 0.406)
    assert NORMALIZATIONS["imagenet"].std == (0.229, 0.224, 0.225)
    assert NORMALIZATIONS["cifar10"].mean == (0.4914, 0.4822, 0.4465)
    assert NORMALIZATIONS["cifar10"].std == (0.2470, 0.2435, 0.2616)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["imagenet"], NORMALIZATIONS["imagenet"]),
        (["none"], "none"),
        (["0.5,0.4", "0.1,0.2"], Normalization(mean=(0.5, 0.4), std=(0.1, 0.2))),
        (["0.1", "0.3"], Normalization(mean=(0.1,), std=(0.3,))),
    ],
)
def test_words_of_the_command_line_become_a_normalization(words, expected):
    assert parse_normalization(words) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["imagnet"], "Did you mean `imagenet`"),
        ([], "0 words"),
        (["1", "2", "3"], "3 words"),
        (["a,b", "1,2"], "numbers separated by commas, but got `a,b`"),
        (["0.5,0.5", "0.1"], "one number per channel"),
        (["0.5", "0"], "std > 0"),
    ],
)
def test_other_words_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        parse_normalization(words)


def test_a_pair_and_a_record_mean_the_same():
    record = Normalization(mean=(0.5,), std=(0.25,))
    assert resolve_normalization(([0.5], [0.25])) == resolve_normalization(record) == record
    assert resolve_normalization("none") is None


def test_one_number_is_a_square_and_none_is_no_resizing():
    assert resolve_input_size(32) == (32, 32)
    assert resolve_input_size("none") is None
    with pytest.raises(InputError, match="input_size='big'"):
        resolve_input_size("big")


def test_what_is_not_given_stays():
    known = Preprocessing(normalization=NORMALIZATIONS["cifar10"], input_size=(8, 8))
    assert override(known) == known
    assert override(known, input_size="none") == Preprocessing(normalization=NORMALIZATIONS["cifar10"])
    assert override(known, normalize="none").normalization is None


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (4,)])
def test_a_size_is_two_positive_numbers(size):
    with pytest.raises(InputError, match="height and a width"):
        Preprocessing(input_size=size)
