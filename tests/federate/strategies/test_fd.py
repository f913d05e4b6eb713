"""FD sends every client the mean logits of the others, label by label."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.federate.strategies.logit_worlds import make_clients, make_federation

from limbeck.core.errors import InputError
from limbeck.federate.logit_format import pack_logits
from limbeck.federate.messages import Message, as_group
from limbeck.federate.strategies.fd import FD, FDSettings, mean_by_label, mean_of_others, pull_to_means
from limbeck.federate.strategies.record import Reply, ServerState

STATE = ServerState(round=0, models={})

# Per client, of two labels: mean logits, which labels it has, and samples of each.
SAID = [
    ([[1.0, 0.0], [0.0, 2.0]], [True, True], (1, 3)),
    ([[4.0, -3.0], [0.0, 0.0]], [True, False], (3, 0)),
    ([[0.0, 0.0], [8.0, 6.0]], [False, True], (0, 1)),
]


def combine(**plan):
    federation = make_federation(make_clients(), **plan)
    request = Message(task="fd", round=1)
    replies = [
        Reply(
            party=replace(party, class_counts=counts),
            request=request,
            message=replace(
                request,
                tensors={
                    **as_group("logits", pack_logits(torch.tensor(rows), "float32")),
                    "known": torch.tensor(known),
                },
            ),
        )
        for party, (rows, known, counts) in zip(federation.parties, SAID, strict=True)
    ]
    return federation, FD.combine_fn(federation, STATE, replies, FD.defaults)


@pytest.mark.parametrize(
    ("weighting", "index", "means", "known"),
    [
        ("equal", 0, [[4.0, -3.0], [8.0, 6.0]], [True, True]),
        ("equal", 1, [[1.0, 0.0], [4.0, 4.0]], [True, True]),
        ("equal", 2, [[2.5, -1.5], [0.0, 2.0]], [True, True]),
        ("samples", 1, [[1.0, 0.0], [2.0, 3.0]], [True, True]),
        ("samples", 2, [[3.25, -2.25], [0.0, 2.0]], [True, True]),
        ("equal", 9, [[2.5, -1.5], [4.0, 4.0]], [True, True]),
    ],
)
def test_the_means_leave_the_client_itself_out(weighting, index, means, known):
    _, state = combine(weighting=weighting)
    ours, ours_known = mean_of_others(state.memory, index)
    torch.testing.assert_close(ours, torch.tensor(means))
    assert ours_known.tolist() == known


def test_a_label_that_nobody_else_has_is_absent():
    federation, state = combine()
    memory = {**state.memory, "weight": state.memory["weight.1"].clone(), "total": torch.zeros(2, 2).double()}
    means, known = mean_of_others(memory, 1)
    assert known.tolist() == [False, False]
    assert means.tolist() == [[0, 0], [0, 0]]
    request = FD.request_fn(federation, state, federation.parties[1], FD.defaults)
    assert request.tensors["others-known"].tolist() == [True, True]
    torch.testing.assert_close(request.tensors["others/values"], torch.tensor([[1.0, 0.0], [2.0, 3.0]]))


def test_the_first_request_has_no_means():
    federation = make_federation(make_clients())
    assert FD.request_fn(federation, STATE, federation.parties[0], FD.defaults).tensors == {}


def test_means_by_label_equal_numpy_in_float64():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(40, 5)), rng.choice([0, 1, 3], 40)
    means, known = mean_by_label(torch.from_numpy(logits), torch.from_numpy(labels))
    assert known.tolist() == [True, True, False, True, False]
    for label in (0, 1, 3):
        np.testing.assert_allclose(means[label].numpy(), logits[labels == label].mean(axis=0), rtol=1e-6)
    assert means[2].abs().sum() == 0


def test_the_loss_is_cross_entropy_and_gamma_times_the_pull_where_others_know_the_label():
    client = replace(make_clients()[0], labels=torch.tensor([1, 0]))
    others = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    request = Message(
        task="fd",
        round=2,
        tensors={
            **as_group("others", pack_logits(others, "float32")),
            "others-known": torch.tensor([False, True]),
        },
    )
    logits = np.array([[0.3, -0.4], [1.0, 2.0]])
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = np.exp([2.0, -1.0]) / np.exp([2.0, -1.0]).sum()
    expected = [-log_softmax[0, 1] - 0.5 * (wanted * log_softmax[0]).sum(), -log_softmax[1, 0]]
    (ours,) = pull_to_means(client, request, 0.5)(
        [torch.tensor(logits, dtype=torch.float32)], torch.tensor([0, 1])
    )
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5)


def test_a_negative_gamma_is_refused():
    with pytest.raises(InputError, match="gamma >= 0"):
        FDSettings(gamma=-0.1)
