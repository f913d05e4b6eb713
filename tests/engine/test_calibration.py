"""How a model is run: near plain arithmetic, measured once, and never other than asked."""

import copy
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn

from limbeck import data
from limbeck.core.device import count_cores
from limbeck.core.errors import DivergedError, InputError
from limbeck.core.fingerprint import hash_state
from limbeck.engine import (
    Layout,
    Training,
    Wishes,
    accuracy,
    calibrate,
    list_calibrated,
    measure_layouts,
    predict,
    pretrain,
)
from limbeck.engine.calibration import choose_layout, read_choices
from limbeck.engine.layout import arrange, use_threads

CPU = torch.device("cpu")
PLAIN = Layout(threads=2)
ONE_THREAD = Wishes(threads=1)


def test_bfloat16_and_channels_last_stay_within_the_spread_over_seeds(make_model):
    digits = data.load("digits")
    normalization = data.measure_normalization(digits.train)
    inputs, unseen = (data.normalize(part.inputs, normalization) for part in (digits.train, digits.test))

    def score(seed, **layout):
        model = make_model("cnn", seed)
        training = Training(epochs=4, batch_size=32, threads=1, **layout)
        pretrain(model, inputs, digits.train.labels, training=training, seed=seed)
        return accuracy(predict(model, unseen), digits.test.labels.numpy())

    plain = [score(seed, memory_format="contiguous") for seed in range(6)]
    fast = [score(seed, precision="bfloat16", memory_format="channels-last") for seed in range(6)]
    assert min(plain) > 0.9
    assert fast != plain
    assert abs(np.mean(fast) - np.mean(plain)) < max(plain) - min(plain)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({}, {}),
        ({"precision": 0.5}, {"precision": "bfloat16"}),
        ({"precision": 0.95}, {}),
        ({"precision": 2.0}, {}),
        ({"threads": 0.9}, {"threads": 1}),
        ({"threads": 0.92}, {}),
        ({"compile": 0.5}, {"compile": True}),
        # each difference must earn its place: 0.6 / 0.55 is below 1.1, 0.6 / 0.5 above
        ({"precision": 0.6, "precision memory_format": 0.55}, {"precision": "bfloat16"}),
        (
            {"precision": 0.6, "precision memory_format": 0.5},
            {"precision": "bfloat16", "memory_format": "channels-last"},
        ),
        ({"precision memory_format": 0.85}, {}),
    ],
)
def test_what_differs_from_the_plain_choice_must_be_clearly_faster(times, expected):
    other = {"precision": "bfloat16", "memory_format": "channels-last", "threads": 1, "compile": True}
    measured = {
        replace(PLAIN, **{name: other[name] for name in names.split()}): seconds
        for names, seconds in times.items()
    }
    assert choose_layout({PLAIN: 1.0, **measured}, plain=PLAIN) == replace(PLAIN, **expected)


def test_every_open_choice_is_measured(make_model, digits):
    measured = measure_layouts(make_model("cnn"), digits[0][:8])
    cores = f"{count_cores()} thread{'s' * (count_cores() > 1)}"
    formats = ("", "contiguous, ")  # the zoo's weights lie channels-last as they are
    together = {f"{precision}, {order}{cores}" for precision in ("float32", "bfloat16") for order in formats}
    assert together <= measured.milliseconds.keys()
    assert (count_cores() == 1) == (set(measured.milliseconds) == together)
    assert all(milliseconds > 0 for milliseconds in measured.milliseconds.values())
    assert measured.title == "Sequential, 13,706 weights, batch 8x1x8x8"


def test_a_model_without_convolutions_has_no_format_to_choose(make_model, digits):
    measured = measure_layouts(make_model("mlp"), digits[0][:8], wishes=ONE_THREAD, name="mlp")
    assert set(measured.milliseconds) == {"float32, 1 thread", "bfloat16, 1 thread"}
    assert measured.title.startswith("mlp, ")
    assert measured.layout.memory_format == "as-is"


def test_a_choice_is_remembered_and_reused(make_model, digits, tmp_path):
    file = tmp_path / "calibration.json"
    model, batch = make_model("cnn"), digits[0][:32]
    calibrate(model, batch, wishes=ONE_THREAD, name="small", file=file)
    content = json.loads(file.read_text())
    (key,) = content
    content[key]["layout"] = {**content[key]["layout"], "precision": "bfloat16", "threads": 7}
    file.write_text(json.dumps(content))
    again = calibrate(model, batch, wishes=ONE_THREAD, file=file)
    assert again == Layout(**content[key]["layout"])  # not measured again
    (listed,) = list_calibrated(file)
    assert json.loads(json.dumps(asdict(listed))) == content[key]


def test_another_batch_model_or_wish_is_another_choice(make_model, digits, tmp_path):
    file = tmp_path / "calibration.json"
    model, batch = make_model("mlp"), digits[0][:8]
    frozen = copy.deepcopy(model)
    next(frozen.parameters()).requires_grad_(False)
    for other, inputs in ((model, batch), (model, batch[:4]), (frozen, batch)):
        calibrate(other, inputs, wishes=ONE_THREAD, file=file)
    assert len(read_choices(file)) == 3
    calibrate(model, batch, wishes=Wishes(threads=2), file=file)
    calibrate(make_model("mlp", 1), batch, wishes=ONE_THREAD, file=file)  # other weights are no other model
    assert len(read_choices(file)) == 4


def test_choices_of_another_machine_are_not_listed(make_model, digits, tmp_path):
    file = tmp_path / "calibration.json"
    calibrate(make_model("mlp"), digits[0][:8], wishes=ONE_THREAD, file=file)
    (choice,) = json.loads(file.read_text()).values()
    file.write_text(json.dumps({"here": choice, "there": {**choice, "machine": "another"}}))
    assert len(read_choices(file)) == 2
    assert len(list_calibrated(file)) == 1


DAMAGED = [
    "",
    "[]",
    "{",
    '{"key": "float8"}',
    '{"key": {"title": "t", "machine": "m", "layout": {"precision": "float8"}, "milliseconds": {}}}',
    '{"key": {"title": "t", "machine": "m", "layout": {"threads": "two"}, "milliseconds": {}}}',
    '{"key": {"title": "t", "machine": "m", "layout": {}, "milliseconds": {"float32": "quick"}}}',
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_of_choices_is_made_anew(make_model, digits, tmp_path, content):
    file = tmp_path / "calibration.json"
    file.write_text(content)
    assert list_calibrated(file) == []
    calibrate(make_model("mlp"), digits[0][:8], wishes=ONE_THREAD, file=file)
    assert len(read_choices(file)) == 1


def test_a_folder_that_cannot_be_written_costs_no_result(make_model, digits, tmp_path):
    (tmp_path / "file").write_text("in the way")
    layout = calibrate(make_model("mlp"), digits[0][:8], wishes=ONE_THREAD, file=tmp_path / "file" / "x.json")
    assert layout.threads == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"precision": "bfloat16"},
        {"memory_format": "channels-last"},
        {"memory_format": "as-is", "threads": 3},
        {"precision": "float32", "compile": True, "threads": 1},
    ],
)
def test_what_is_asked_for_is_never_changed(make_model, digits, tmp_path, asked):
    layout = calibrate(make_model("cnn"), digits[0][:8], wishes=Wishes(**asked), file=tmp_path / "c.json")
    assert asked.items() <= asdict(layout).items()


def test_nothing_is_measured_where_everything_is_asked_for(make_model, digits, tmp_path):
    file = tmp_path / "calibration.json"
    asked = {"precision": "bfloat16", "memory_format": "contiguous", "threads": 2, "compile": True}
    layout = calibrate(make_model("cnn"), digits[0][:8], wishes=Wishes(**asked), file=file)
    assert layout == Layout(**asked)
    assert not file.exists()


def test_a_model_without_a_weight_to_train_is_run_plainly(make_model, digits, tmp_path):
    frozen = make_model("mlp").requires_grad_(False)
    layout = calibrate(frozen, digits[0][:8], file=tmp_path / "c.json")
    assert layout == Layout(threads=count_cores())


class Flat(nn.Module):
    """Its `view` fails where channels lie side by side."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4 * 36, 10)

    def forward(self, images):
        return self.head(self.conv(images).view(len(images), -1))


def test_a_way_in_which_a_model_cannot_be_run_is_not_chosen(digits):
    measured = measure_layouts(Flat(), digits[0][:8].contiguous(), wishes=ONE_THREAD)
    assert set(measured.milliseconds) == {"float32, 1 thread", "bfloat16, 1 thread"}


def test_a_model_whose_gradients_bfloat16_leaves_unset_is_run_in_float32():
    strided = nn.Sequential(nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.Flatten())
    measured = measure_layouts(
        strided, torch.ones(8, 16, 1, 1), wishes=Wishes(threads=1, memory_format="as-is")
    )
    assert measured.layout == Layout(threads=1)
    asked = Wishes(precision="bfloat16", threads=1)
    assert measure_layouts(strided, torch.ones(8, 16, 1, 1), wishes=asked).layout.precision == "bfloat16"


def test_model_threads_and_random_state_stay_as_they_were(make_model, digits):
    model = make_model("cnn").eval()
    weights, threads, state = hash_state(model.state_dict()), torch.get_num_threads(), torch.get_rng_state()
    measure_layouts(nn.Sequential(model, nn.Dropout()), digits[0][:8])
    assert hash_state(model.state_dict()) == weights
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_threads_are_as_before_after_an_error():
    before = torch.get_num_threads()
    seen = []

    def fail():
        with use_threads(before + 1, CPU):
            seen.append(torch.get_num_threads())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (seen, torch.get_num_threads()) == ([before + 1], before)


@pytest.mark.parametrize(
    ("memory_format", "order"),
    [("contiguous", torch.contiguous_format), ("channels-last", torch.channels_last)],
)
def test_arranging_moves_weights_and_keeps_their_values(make_model, memory_format, order):
    model = make_model("cnn")
    weights = hash_state(model.state_dict())
    arrange(model, memory_format)
    assert all(w.is_contiguous(memory_format=order) for w in model.parameters() if w.ndim == 4)
    assert hash_state(model.state_dict()) == weights


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"precision": "bfloat"}, "Did you mean `bfloat16`"),
        ({"memory_format": "channel-last"}, "Did you mean `channels-last`"),
        ({"threads": 0}, "threads >= 1"),
        ({"compile": "perhaps"}, "compile is False or True"),
    ],
)
@pytest.mark.parametrize("record", [Layout, Wishes])
def test_wrong_values_are_named(record, value, rule):
    with pytest.raises(InputError, match=rule):
        record(**value)


def test_a_layout_is_told_in_words():
    assert str(Layout()) == "float32"
    assert str(Layout(precision="bfloat16", memory_format="channels-last", threads=2)) == (
        "bfloat16, channels-last, 2 threads"
    )
    assert str(Layout(threads=1, compile=True)) == "float32, 1 thread, compiled"


def test_weights_that_are_not_finite_end_a_training_whose_loss_is(digits, make_model):
    class Spoiling(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * torch.nan

    class Spoiled(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = make_model("mlp")

        def forward(self, x):
            return Spoiling.apply(self.model(x))

    inputs, labels = digits
    training = Training(epochs=1, batch_size=len(inputs))
    with pytest.raises(DivergedError, match=r"weights must stay finite.*precision"):
        pretrain(Spoiled(), inputs, labels, training=training, seed=0)
