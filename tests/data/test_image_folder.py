"""Folders of real image files, one folder per class."""

import numpy as np
import pytest
import torch
from PIL import Image

from limbeck.core.errors import InputError
from limbeck.data import StoredImages, load, load_inputs


def save(path, value, *, size=(6, 5), mode="RGB", **settings):
    """An image of one colour; for RGB its red is `value`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = value if mode == "L" else (value, 1, 2)
    Image.new(mode, size, colour).save(path, **settings)


def write_classes(root, names=("cat", "dog"), *, per_class=5, size=(6, 5)):
    for number, name in enumerate(names):
        for index in range(per_class):
            save(root / name / f"{index}.png", 10 * number + index, size=size)


def first_values(inputs):
    return inputs[:, 0, 0, 0].tolist()


def test_class_names_are_the_folder_names_in_order_and_a_fifth_is_held_out(tmp_path):
    write_classes(tmp_path / "pets", ("dog", "cat"))
    data = load(tmp_path / "pets")
    assert (data.name, data.class_names) == ("pets", ("cat", "dog"))
    assert data.input_shape == (3, 5, 6)
    assert (len(data.train), sorted(data.test.labels.tolist())) == (8, [0, 1])
    for samples in (data.train, data.test):
        assert [value < 10 for value in first_values(samples.inputs)] == [
            label == 1 for label in samples.labels.tolist()
        ]


@pytest.mark.parametrize("test_name", ["test", "val", "valid"])
def test_training_and_test_folders_are_the_parts(test_name, tmp_path):
    write_classes(tmp_path / "train")
    save(tmp_path / test_name / "dog" / "a.PNG", 99)
    data = load(tmp_path)
    assert first_values(data.train.inputs) == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    assert data.labels.tolist() == [0] * 5 + [1] * 5
    assert (first_values(data.test.inputs), data.test.labels.tolist()) == ([99], [1])


def test_a_training_folder_alone_is_split(tmp_path):
    write_classes(tmp_path / "train")
    assert len(load(tmp_path).test) == 2


def test_a_class_may_be_called_train(tmp_path):
    write_classes(tmp_path, ("boat", "train"))
    assert load(tmp_path).class_names == ("boat", "train")


def test_hidden_and_other_files_are_left_alone_and_deeper_folders_are_read(tmp_path):
    write_classes(tmp_path)
    (tmp_path / "cat" / ".hidden.png").write_bytes(b"no image")
    (tmp_path / "cat" / "notes.txt").write_text("cats")
    (tmp_path / ".git").mkdir()
    save(tmp_path / "dog" / "deeper" / "x.jpg", 200)
    data = load(tmp_path)
    assert (len(data.train) + len(data.test), data.num_classes) == (11, 2)


def test_grey_images_have_one_channel_and_become_colour_beside_coloured_ones(tmp_path):
    for name in ("a", "b"):
        for index in range(3):
            save(tmp_path / "grey" / name / f"{index}.png", index, mode="L")
            save(tmp_path / "mixed" / name / f"{index}.png", index, mode="L")
    assert load(tmp_path / "grey").input_shape == (1, 5, 6)
    save(tmp_path / "mixed" / "b" / "9.png", 7)
    data = load(tmp_path / "mixed")
    assert data.input_shape == (3, 5, 6)
    inputs = torch.cat([data.train.inputs, data.test.inputs]).flatten(2).float().mean(2)
    assert sorted(inputs.tolist()) == sorted([[v] * 3 for v in (0, 1, 2, 0, 1, 2)] + [[7, 1, 2]])


def test_a_csv_file_beside_the_images_is_not_taken_for_the_data(tmp_path):
    write_classes(tmp_path / "train")
    (tmp_path / "sample_submission.csv").write_text("id,label\n1,0\n")
    assert load(tmp_path).class_names == ("cat", "dog")
    assert load_inputs(tmp_path).shape == (8, 3, 5, 6)


def test_an_empty_class_folder_is_named(tmp_path):
    write_classes(tmp_path / "pets")
    (tmp_path / "pets" / "emu").mkdir()
    with pytest.raises(InputError, match=r"every class folder holds images.*pets/emu"):
        load(tmp_path / "pets")


def test_a_test_class_that_training_does_not_know_is_named(tmp_path):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "test", ("cat", "dgo"))
    with pytest.raises(InputError, match="class folder `dgo`"):
        load(tmp_path)


def test_images_of_several_sizes_are_listed_with_the_remedy(tmp_path):
    write_classes(tmp_path)
    for index in range(3):
        save(tmp_path / "emu" / f"{index}.png", 0, size=(9, 8))
    with pytest.raises(InputError, match=r"5x6 \(10 images\), 8x9 \(3 images\).*--image-size 64"):
        load(tmp_path)


def test_image_size_scales_the_shorter_side_and_cuts_out_the_middle(tmp_path):
    # Three stripes, each a third of the width: only the middle one is left of an image of 30 x 10 pixels.
    stripes = np.zeros((10, 30, 3), dtype=np.uint8)
    stripes[:, 10:20] = (200, 100, 50)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(stripes).save(tmp_path / name / "wide.png")
        Image.fromarray(stripes.transpose(1, 0, 2)).save(tmp_path / name / "tall.png")
    data = load(tmp_path, image_size=10)
    for samples in (data.train, data.test):
        assert samples.inputs.shape[1:] == (3, 10, 10)
        assert samples.inputs.flatten(2).float().mean((0, 2)).tolist() == [200, 100, 50]


@pytest.mark.parametrize("size", [(40, 40), (97, 61), (7, 9)])
def test_image_size_makes_large_and_small_jpeg_images_alike(size, tmp_path):
    for name in ("a", "b"):
        for index in range(2):
            save(tmp_path / name / f"{index}.jpg", 128, size=size, quality=95)
    inputs = load(tmp_path, image_size=8).train.inputs
    assert inputs.shape[1:] == (3, 8, 8)
    assert (inputs[:, 0].float() - 128).abs().max() < 4


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_damaged_image_is_named(content, tmp_path):
    write_classes(tmp_path)
    (tmp_path / "dog" / "3.png").write_bytes(content)
    with pytest.raises(InputError, match=r"dog/3\.png.*is damaged"):
        load(tmp_path)


def test_a_truncated_image_is_named(tmp_path):
    write_classes(tmp_path)
    path = tmp_path / "dog" / "3.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"dog/3\.png"):
        load(tmp_path)


def test_images_without_class_folders_are_an_unlabelled_set(tmp_path):
    for index in range(3):
        save(tmp_path / f"{index}.png", index)
    assert first_values(load_inputs(tmp_path)) == [0, 1, 2]
    with pytest.raises(InputError, match="Sort the images into one folder per class"):
        load(tmp_path)


def test_the_unlabelled_set_of_class_folders_is_the_training_part(tmp_path):
    write_classes(tmp_path)
    assert torch.equal(load_inputs(tmp_path), load(tmp_path).train.inputs)


def test_columns_are_no_setting_of_image_folders(tmp_path):
    write_classes(tmp_path)
    with pytest.raises(InputError, match="label_column fits the source"):
        load(tmp_path, label_column="label")


def test_a_flat_folder_larger_than_the_limit_is_streamed(tmp_path):
    for index in range(3):
        save(tmp_path / f"{index}.png", index)
    inputs = load_inputs(tmp_path, memory_limit=10)
    assert isinstance(inputs, StoredImages)
    assert first_values(inputs.read([2, 0])) == [2, 0]
