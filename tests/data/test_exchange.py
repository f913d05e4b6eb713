"""A data set handed over as one file."""

import pytest
import torch
from safetensors.torch import save_file

from limbeck.core.errors import InputError
from limbeck.data import Samples, make_data_set, read_data_set, write_data_set


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (9, 3, 4, 4), dtype=torch.uint8, generator=generator)
    samples = Samples(inputs=images, labels=torch.arange(9) % 2)
    # Both parts are views of one memory, as sources may give them.
    test = Samples(inputs=images[6:], labels=samples.labels[6:])
    return make_data_set(
        "tiny", Samples(inputs=images[:6], labels=samples.labels[:6]), test, ["Katze", "Hund ü"]
    )


def test_a_data_set_comes_back_as_it_was(data, tmp_path):
    write_data_set(data, tmp_path / "new" / "data.safetensors")
    back = read_data_set(tmp_path / "new" / "data.safetensors")
    assert (back.name, back.class_names, back.fingerprint) == (data.name, data.class_names, data.fingerprint)
    for part, original in ((back.train, data.train), (back.test, data.test)):
        assert torch.equal(part.inputs, original.inputs)
        assert torch.equal(part.labels, original.labels)


def test_channels_last_images_come_back_equal(data, tmp_path):
    images = data.train.inputs.contiguous(memory_format=torch.channels_last)
    train = Samples(inputs=images, labels=data.train.labels)
    write_data_set(make_data_set("tiny", train, data.test, data.class_names), tmp_path / "data.safetensors")
    back = read_data_set(tmp_path / "data.safetensors")
    assert torch.equal(back.train.inputs, images)
    assert back.fingerprint == data.fingerprint


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "text", "absent"])
def test_a_damaged_file_is_an_input_error_that_names_it(damage, data, tmp_path):
    path = tmp_path / "data.safetensors"
    write_data_set(data, path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    broken = {"truncated": content[:-5], "flipped": content, "empty": b"", "text": b"hello" * 9}
    path.unlink()
    if damage != "absent":
        path.write_bytes(broken[damage])
    with pytest.raises(InputError, match=r"data\.safetensors.*Copy or download"):
        read_data_set(path)


def test_another_safetensors_file_is_refused(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="names no data set"):
        read_data_set(tmp_path / "model.safetensors")
