"""Label counts: read, written, and with noise whose distribution is known."""

import json
import math
import random

import numpy as np
import pytest
from scipy.stats import chisquare

from limbeck.advise import LabelCounts, add_noise, count_labels, read_counts, write_counts
from limbeck.core.errors import InputError


def make_counts(rows=((5, 0), (2, 9))):
    return LabelCounts(
        clients=tuple(f"site-{number}" for number in range(len(rows))),
        class_names=("cat", "dog"),
        counts=np.array(rows, np.int64),
    )


def test_what_was_written_is_read_back(tmp_path):
    write_counts(make_counts(), tmp_path / "counts.json")
    read = read_counts([tmp_path / "counts.json"])
    assert (read.clients, read.class_names, read.epsilon) == (("site-0", "site-1"), ("cat", "dog"), None)
    assert read.counts.tolist() == [[5, 0], [2, 9]]


def test_clients_come_from_several_files_and_a_class_that_one_lacks_counts_nothing_there(tmp_path):
    (tmp_path / "bonn.json").write_text('{"cat": 3}')
    (tmp_path / "lyon.csv").write_text("client,dog,owl\nlyon,4,1\n")
    read = read_counts([tmp_path / "bonn.json", tmp_path / "lyon.csv"])
    assert (read.clients, read.class_names) == (("bonn", "lyon"), ("cat", "dog", "owl"))
    assert read.counts.tolist() == [[3, 0, 0], [0, 4, 1]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("counts.json", "{"),
        ("counts.json", "[]"),
        ("counts.json", '{"bonn": {"cat": -1}}'),
        ("counts.json", '{"bonn": {"cat": 1.5}}'),
        ("counts.json", '{"bonn": {"cat": true}}'),
        ("counts.json", '{"epsilon": -1, "clients": {"bonn": {"cat": 1}}}'),
        ("counts.csv", "client,cat\nbonn,many\n"),
        ("counts.csv", "client,cat,cat\nbonn,1,2\n"),
        ("counts.csv", "client,cat\nbonn,1\nbonn,2\n"),
        ("counts.csv", "name,cat\nbonn,1\n"),
    ],
)
def test_anything_but_counts_is_refused_with_what_to_write(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="JSON"):
        read_counts([tmp_path / name])


def test_a_client_comes_once_and_has_a_sample(tmp_path):
    (tmp_path / "one.json").write_text('{"bonn": {"cat": 1}}')
    with pytest.raises(InputError, match="`bonn` twice"):
        read_counts([tmp_path / "one.json", tmp_path / "one.json"])
    (tmp_path / "none.json").write_text('{"bonn": {"cat": 0}}')
    with pytest.raises(InputError, match="every client has a sample"):
        read_counts([tmp_path / "none.json"])


def test_labels_are_counted():
    counts = count_labels(np.array([1, 1, 0, 2]), ("a", "b", "c", "d"), client="bonn")
    assert counts.counts.tolist() == [[1, 2, 1, 0]]


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.5])
def test_noise_is_discrete_laplace_of_scale_one_over_epsilon(epsilon):
    exact = LabelCounts(
        clients=("bonn",),
        class_names=tuple(map(str, range(20_000))),
        counts=np.full((1, 20_000), 1_000, np.int64),
    )
    noise = (add_noise(exact, epsilon, randbelow=random.Random(0).randrange).counts - 1_000)[0]
    # P(n) = (1 - q) / (1 + q) q^|n| with q = exp(-epsilon); the tails beyond `far` count together.
    q, far = math.exp(-epsilon), max(2, round(5 / epsilon))
    expected = [(1 - q) / (1 + q) * q ** abs(n) for n in range(-far, far + 1)]
    tail = q ** (far + 1) / (1 + q)
    observed = [int((noise == n).sum()) for n in range(-far, far + 1)]
    observed = [int((noise < -far).sum()), *observed, int((noise > far).sum())]
    assert chisquare(observed, np.array([tail, *expected, tail]) * len(noise)).pvalue > 0.001


def test_noise_never_takes_a_count_below_zero_and_is_not_added_twice():
    noisy = add_noise(make_counts(), 0.01, randbelow=random.Random(1).randrange)
    assert noisy.counts.min() >= 0
    assert noisy.epsilon == 0.01
    with pytest.raises(InputError, match="noise is added to exact counts"):
        add_noise(noisy, 1.0)


def test_noise_that_would_be_endless_is_refused():
    with pytest.raises(InputError, match=r"epsilon >= 0\.001"):
        add_noise(make_counts(), 0.0)


def test_what_noise_alone_may_have_made_is_not_told():
    noisy = LabelCounts(
        clients=("bonn", "lyon"),
        class_names=("a", "b"),
        counts=np.array([[50, 2], [1, 2]], np.int64),
        epsilon=1.0,
    )
    assert noisy.told.tolist() == [[50, 0], [0, 2]]


def test_the_file_says_how_much_noise_is_in_it(tmp_path):
    noisy = add_noise(make_counts(), 1.0, randbelow=random.Random(2).randrange)
    write_counts(noisy, tmp_path / "noisy.json")
    assert json.loads((tmp_path / "noisy.json").read_text())["epsilon"] == 1.0
    assert read_counts([tmp_path / "noisy.json"]).epsilon == 1.0
