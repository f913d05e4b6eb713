"""Images larger than memory: a file instead of a tensor, and otherwise the same data set."""

import io
import logging
import os
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from torch import Tensor

from limbeck.core.errors import InputError, RunError
from limbeck.data import StoredImages, from_dataset, load
from limbeck.data.gathering import Frames, check_free_space, gather_frames
from limbeck.data.hold_out import hold_out

TINY = 500


def pictures(count, *, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 5, 3), dtype=np.uint8)


def write_folder(root, *, has_test):
    for part in ("train", "test") if has_test else ("train",):
        for number, name in enumerate(("cat", "dog")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index, array in enumerate(pictures(5, seed=number + 10 * len(part))):
                Image.fromarray(array).save(folder / f"{index}.png")
    return root


def write_parquet(root, *, has_test):
    root.mkdir()
    for part in ("train", "test") if has_test else ("train",):
        images = []
        for array in pictures(10, seed=len(part)):
            buffer = io.BytesIO()
            Image.fromarray(array).save(buffer, "PNG")
            images.append({"bytes": buffer.getvalue(), "path": None})
        pl.DataFrame({"image": images, "label": [0, 1] * 5}).write_parquet(root / f"{part}.parquet")
    return root


def all_images(inputs):
    return inputs if isinstance(inputs, Tensor) else inputs.read(np.arange(len(inputs)))


def assert_equal_sets(in_memory, in_file):
    assert in_file.fingerprint == in_memory.fingerprint
    assert (in_file.name, in_file.class_names) == (in_memory.name, in_memory.class_names)
    for mine, other in ((in_memory.train, in_file.train), (in_memory.test, in_file.test)):
        assert isinstance(mine.inputs, Tensor)
        assert isinstance(other.inputs, StoredImages)
        assert torch.equal(all_images(other.inputs), mine.inputs)
        assert torch.equal(other.labels, mine.labels)


@pytest.mark.parametrize("has_test", [True, False])
@pytest.mark.parametrize("write_fn", [write_folder, write_parquet])
def test_a_streamed_data_set_is_the_one_in_memory(write_fn, has_test, tmp_path):
    path = write_fn(tmp_path / "pets", has_test=has_test)
    in_memory, in_file = load(path), load(path, memory_limit=TINY)
    assert_equal_sets(in_memory, in_file)
    mine, other = (hold_out(data.train) for data in (in_memory, in_file))
    assert torch.equal(all_images(other[0].inputs), mine[0].inputs)
    assert torch.equal(other[1].labels, mine[1].labels)


def test_a_streamed_python_data_set_is_the_one_in_memory():
    images = pictures(12)
    pairs = [(torch.from_numpy(array).permute(2, 0, 1), index % 3) for index, array in enumerate(images)]
    assert_equal_sets(
        from_dataset(pairs[:9], pairs[9:], name="x"),
        from_dataset(pairs[:9], pairs[9:], name="x", memory_limit=TINY),
    )


def test_what_is_streamed_and_from_where_is_said_before(tmp_path, caplog, own_cache):
    with caplog.at_level(logging.WARNING, logger="limbeck"):
        load(write_folder(tmp_path / "pets", has_test=True), memory_limit=TINY)
    (message,) = caplog.messages
    folder = own_cache / "limbeck" / "images"
    (file,) = folder.iterdir()
    # 20 images of 3 x 6 x 5 bytes.
    assert message == (
        "`pets` needs 1.8 KB decoded, more than the 500 bytes of memory it may use here: "
        f"streaming from `{file}`"
    )
    assert file.stat().st_size == 20 * 90


def test_a_streamed_source_is_decoded_once_until_its_files_change(tmp_path, own_cache):
    path = write_folder(tmp_path / "pets", has_test=True)
    first = load(path, memory_limit=TINY).train.inputs
    # Whoever decoded again would restore what is overwritten here.
    first.file.write_bytes(bytes(20 * 90))
    again = load(path, memory_limit=TINY).train.inputs
    assert int(again.read([0]).max()) == 0
    changed = path / "train" / "cat" / "0.png"
    os.utime(changed, ns=(1, 1))
    fresh = load(path, memory_limit=TINY).train.inputs
    assert fresh.file != first.file
    assert int(fresh.read([0]).max()) > 0
    assert load(path, memory_limit=TINY, image_size=4).train.inputs.shape == (10, 3, 4, 4)


def test_a_truncated_stored_file_is_written_again(tmp_path):
    path = write_folder(tmp_path / "pets", has_test=True)
    first = load(path, memory_limit=TINY)
    first.train.inputs.file.write_bytes(b"short")
    assert load(path, memory_limit=TINY).fingerprint == first.fingerprint


def test_a_failed_decoding_leaves_no_file(tmp_path, own_cache):
    path = write_folder(tmp_path / "pets", has_test=True)
    (path / "test" / "dog" / "4.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"dog/4\.png"):
        load(path, memory_limit=TINY)
    assert list((own_cache / "limbeck" / "images").iterdir()) == []


def test_python_data_of_equal_content_share_a_file(own_cache):
    pairs = [(torch.full((3, 6, 5), index, dtype=torch.uint8), index % 2) for index in range(20)]
    files = {from_dataset(pairs, name=name, memory_limit=TINY).train.inputs.file for name in ("a", "b")}
    assert set((own_cache / "limbeck" / "images").iterdir()) == files
    assert len(files) == 1


@pytest.mark.parametrize("memory_limit", [TINY, None])
def test_a_coloured_image_after_grey_ones_makes_all_coloured(memory_limit, tmp_path):
    for name, mode, colour in (("a", "L", 9), ("b", "RGB", (1, 2, 3))):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(10):
            Image.new(mode, (5, 6), colour).save(tmp_path / "set" / name / f"{index}.png")
    for _ in range(2):
        data = load(tmp_path / "set", memory_limit=memory_limit)
        values = all_images(data.train.inputs).flatten(2).float().mean(2)
        assert values.tolist() == [[9, 9, 9]] * 8 + [[1, 2, 3]] * 8


def test_too_little_room_on_the_disk_is_said_before_decoding(tmp_path):
    room = shutil.disk_usage(tmp_path).total + 1
    with pytest.raises(RunError, match=r"`big` needs .* are free"):
        check_free_space(tmp_path / "new", num_bytes=room, name="big")


@pytest.mark.parametrize("given", [2, 4])
def test_a_source_that_gives_more_or_fewer_images_than_it_says_is_refused(given):
    frames = Frames(
        name="x",
        count=3,
        read_fn=lambda: iter([np.zeros((1, 2, 2), dtype=np.uint8)] * given),
        explain_fn=lambda row, first, other: InputError(f"{row} {first} {other}"),
    )
    for limit in (0, None):
        with pytest.raises(InputError, match="of 3 images"):
            gather_frames(frames, memory_limit=limit)
