"""Files of weights as others write them: every wrapper off, nothing run, every damage named."""

import argparse
import logging
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn
from torch.optim.swa_utils import AveragedModel

from limbeck.core.errors import InputError
from limbeck.models import read_state
from limbeck.models.checkpoints import strip_prefixes

STATE = {"conv.weight": torch.arange(4.0), "fc.bias": torch.ones(2)}


def write(path, content, **settings):
    torch.save(content, path, **settings)
    return path


def same(found, expected):
    return list(found) == list(expected) and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.th", "m.bin", "m.ckpt", "weights", "m.safetensors"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_pytorch_files_are_known_by_their_content(tmp_path, name, is_zip):
    path = write(tmp_path / name, STATE, _use_new_zipfile_serialization=is_zip)
    assert same(read_state(path), STATE)


def test_safetensors_are_known_by_their_content(tmp_path):
    save_file(STATE, tmp_path / "m.pth")
    assert same(read_state(tmp_path / "m.pth"), STATE)


def test_tied_weights_that_safetensors_wrote_once_come_back_twice(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    save_model(model, str(tmp_path / "m.safetensors"))
    state = read_state(tmp_path / "m.safetensors")
    assert sorted(state) == ["0.weight", "1.weight"]
    assert torch.equal(state["0.weight"], state["1.weight"])


@pytest.mark.parametrize(
    "content",
    [
        *({name: STATE} for name in ("state_dict", "model", "model_state_dict", "net", "module")),
        *({name: STATE} for name in ("model_ema", "ema_state_dict", "ema", "state_dict_ema")),
        {"model": {"state_dict": STATE}, "epoch": 3, "optimizer": {"state": {}}},
        {"state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()}},
        {f"module._orig_mod.module.{name}": tensor for name, tensor in STATE.items()},
        {f"model.{name}": tensor for name, tensor in STATE.items()},
        {"model": STATE, "args": argparse.Namespace(lr=0.1)},
    ],
)
def test_wrappers_are_taken_off(tmp_path, content):
    assert same(read_state(write(tmp_path / "m.pt", content)), STATE)


def test_a_prefix_that_not_every_name_has_stays():
    state = {"module.a": 1, "b": 2}
    assert strip_prefixes(state) == state


def test_a_choice_of_weights_is_reported_and_can_be_made(tmp_path, caplog):
    average = {name: tensor + 1 for name, tensor in STATE.items()}
    path = write(tmp_path / "m.pt", {"model_ema": average, "model": STATE})
    with caplog.at_level(logging.WARNING, logger="limbeck"):
        assert same(read_state(path), STATE)
    assert "holds `model` and `model_ema`; taking `model`" in caplog.text
    assert same(read_state(path, part="model_ema"), average)
    with pytest.raises(InputError, match="Did you mean `model_ema`"):
        read_state(path, part="model_em")


def test_an_averaged_model_comes_without_its_counter(tmp_path):
    model = nn.Linear(2, 2)
    path = write(tmp_path / "m.pt", {"model_ema": AveragedModel(model).state_dict()})
    assert same(read_state(path), model.state_dict())


def test_a_whole_pickled_module_is_refused(tmp_path):
    path = write(tmp_path / "m.pt", nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"a `torch.nn.modules.linear.Linear` object.*model.state_dict\(\)"):
        read_state(path)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_torchscript_program_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "m.pt")
    with pytest.raises(InputError, match="a TorchScript program"):
        read_state(tmp_path / "m.pt")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("is_torch", [True, False])
def test_code_in_a_file_is_never_run(tmp_path, is_torch):
    path = tmp_path / "m.pt"
    if is_torch:
        torch.save({"state_dict": STATE, "x": Bomb(tmp_path / "run")}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(tmp_path / "run")))
    with pytest.raises(InputError, match=r"m\.pt"):
        read_state(path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_truncated_pytorch_file_is_refused(tmp_path, is_zip, share):
    path = write(tmp_path / "m.pt", {"w": torch.ones(1000)}, _use_new_zipfile_serialization=is_zip)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"m\.pt` must be a whole file of weights, but it ends early"):
        read_state(path)


def test_truncated_safetensors_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"it ends early\. Copy or download it again"):
        read_state(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither or is cut off"),
        (b"<!DOCTYPE html><html>", "neither or is cut off"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"PK\x03\x04 but no archive", "cannot be read"),
    ],
)
def test_foreign_files_are_refused(tmp_path, content, message):
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_state(tmp_path / "m.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "it holds a list"),
        ({"epoch": 3}, r"a dict with 1 entries \(`epoch`\)"),
        ({}, "0 entries"),
        ({"fc.weight": torch.ones(2), "epoch": 3}, "2 entries"),
        (torch.ones(2), "a Tensor"),
    ],
)
def test_files_without_a_dict_of_tensors_are_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_state(write(tmp_path / "m.pt", content))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_not_finite_are_refused(tmp_path, value, dtype):
    state = STATE | {"fc.weight": torch.tensor([1.0, value], dtype=dtype)}
    with pytest.raises(InputError, match=r"1 tensor of .* such as `fc\.weight`"):
        read_state(write(tmp_path / "m.pt", state))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.pt.*no such file"):
        read_state(tmp_path / "nowhere.pt")
    with pytest.raises(InputError, match="is a directory"):
        read_state(tmp_path)
