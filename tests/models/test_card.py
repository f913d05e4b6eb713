"""Models on disk: whole, checked and never unpickled."""

import json

import pytest
import torch

from limbeck import models
from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state


@pytest.fixture
def saved(tmp_path):
    model = models.build("resnet8", input_shape=(1, 8, 8), num_classes=3, seed=0)
    card = models.Card(
        arch="resnet8",
        input_shape=(1, 8, 8),
        class_names=("a", "b", "c"),
        mean=(0.3,),
        std=(0.4,),
        data_fingerprint="0" * 16,
        training={"epochs": 1},
        accuracies={"test": 0.5},
    )
    return model, models.save(model, card, tmp_path / "model"), tmp_path / "model"


def test_a_saved_model_comes_back_bit_for_bit(saved):
    model, card, folder = saved
    loaded, loaded_card = models.load(folder)
    assert hash_state(loaded.state_dict()) == hash_state(model.state_dict()) == card.weights_hash
    assert loaded_card == card
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(loaded(x), model.eval()(x))


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no `card.json`"):
        models.load(tmp_path)


def test_missing_weights_are_named(saved):
    (saved[2] / "model.safetensors").unlink()
    with pytest.raises(InputError, match="is missing"):
        models.load(saved[2])


@pytest.mark.parametrize("damage", [b"", b"not safetensors at all", b"\x80\x04K\x01."])
def test_damaged_weights_are_refused(saved, damage):
    (saved[2] / "model.safetensors").write_bytes(damage)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        models.load(saved[2])


def test_truncated_weights_are_refused(saved):
    path = saved[2] / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="cannot be loaded"):
        models.load(saved[2])


def test_weights_of_another_model_are_refused_by_their_hash(saved):
    path = saved[2] / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="hash"):
        models.load(saved[2])


def test_a_model_that_is_not_of_the_zoo_has_another_door(saved):
    path = saved[2] / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "arch": "timm:test_resnet"}))
    with pytest.raises(InputError, match="Use `load_classifier`"):
        models.load(saved[2])


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"arch": "resnet8"}'])
def test_a_damaged_card_is_refused(saved, damage):
    (saved[2] / "card.json").write_text(damage)
    with pytest.raises(InputError, match=r"card\.json"):
        models.load(saved[2])


def test_a_card_of_a_later_format_is_refused(saved):
    path = saved[2] / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(InputError, match="format == 1"):
        models.load(saved[2])
