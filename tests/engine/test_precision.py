"""bfloat16 in training: near float32, chosen by measurement, remembered."""

import json

import numpy as np
import pytest
import torch

from limbeck.core.fingerprint import hash_state
from limbeck.engine import PRECISIONS, Training, accuracy, pick_precision, predict, pretrain
from limbeck.engine.precision import _choose, read_choices


def train_at(make_model, digits, precision, seed):
    inputs, labels = digits
    model = make_model("cnn", seed)
    training = Training(epochs=6, batch_size=32, precision=precision)
    pretrain(model, inputs[:200], labels[:200], training=training, seed=seed)
    return model


def test_accuracy_stays_within_the_spread_over_seeds(make_model, digits):
    inputs, labels = digits

    def score(precision, seed):
        model = train_at(make_model, digits, precision, seed)
        return accuracy(predict(model, inputs[200:]), labels[200:].numpy())

    scores = {precision: [score(precision, seed) for seed in range(4)] for precision in PRECISIONS}
    spread = np.std(scores["float32"], ddof=1)
    assert abs(np.mean(scores["bfloat16"]) - np.mean(scores["float32"])) < 2 * max(spread, 0.01)


def test_weights_stay_float32_and_the_same_seed_gives_the_same(make_model, digits):
    first, again = (train_at(make_model, digits, "bfloat16", 0) for _ in range(2))
    assert all(parameter.dtype == torch.float32 for parameter in first.parameters())
    assert hash_state(first.state_dict()) == hash_state(again.state_dict())
    other = train_at(make_model, digits, "float32", 0)
    assert hash_state(first.state_dict()) != hash_state(other.state_dict())


def test_bfloat16_must_be_clearly_faster():
    assert _choose([1.0, 2.0], [0.5, 3.0]) == "bfloat16"
    assert _choose([1.0, 1.0], [0.95, 0.95]) == "float32"
    assert _choose([1.0], [2.0]) == "float32"


def test_a_choice_is_remembered_by_model_and_batch(make_model, digits, tmp_path):
    file = tmp_path / "precision.json"
    model, batch = make_model("cnn"), digits[0][:32]
    chosen = pick_precision(model, batch, file=file)
    (key,) = read_choices(file)
    other = "float32" if chosen == "bfloat16" else "bfloat16"
    file.write_text(json.dumps({key: other}))
    assert pick_precision(model, batch, file=file) == other  # not measured again
    pick_precision(model, batch[:16], file=file)
    assert len(read_choices(file)) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"key": "float8"}'])
def test_a_damaged_file_of_choices_is_made_anew(make_model, digits, tmp_path, content):
    file = tmp_path / "precision.json"
    file.write_text(content)
    assert pick_precision(make_model("mlp"), digits[0][:8], file=file) in PRECISIONS
    assert len(read_choices(file)) == 1


def test_a_folder_that_cannot_be_written_costs_no_result(make_model, digits, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert pick_precision(make_model("mlp"), digits[0][:8], file=tmp_path / "file" / "x.json") in PRECISIONS


def test_the_model_stays_as_it_was(make_model, digits, tmp_path):
    model = make_model("cnn").eval()
    before = hash_state(model.state_dict())
    pick_precision(model, digits[0][:8], file=tmp_path / "precision.json")
    assert hash_state(model.state_dict()) == before
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
