"""Tables of images: parquet files in the form Hugging Face writes them, with real PNG and JPEG bytes."""

import io
import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

from limbeck.core.errors import InputError
from limbeck.data import load


def encode(array, image_format="PNG", **settings):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, image_format, **settings)
    return buffer.getvalue()


def colours(num_images, size=(6, 5)):
    return np.random.default_rng(num_images).integers(0, 256, (num_images, *size, 3), dtype=np.uint8)


def table(images, labels, *, image="image", label="label", is_struct=True):
    column = [{"bytes": content, "path": None} for content in images] if is_struct else images
    kind = pl.Struct({"bytes": pl.Binary, "path": pl.String}) if is_struct else pl.Binary
    return pl.DataFrame({label: labels, image: pl.Series(column, dtype=kind)})


def huggingface(names, *, label="label"):
    features = {label: {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


@pytest.mark.parametrize("is_struct", [True, False], ids=["struct", "binary"])
@pytest.mark.parametrize("names", [("img", "label"), ("image", "labels"), ("photo", "fine_label")])
def test_images_labels_and_class_names_are_found_whatever_the_columns_are_called(names, is_struct, tmp_path):
    image, label = names
    pixels = colours(4)
    frame = table(
        [encode(array) for array in pixels], [0, 1, 2, 1], image=image, label=label, is_struct=is_struct
    ).with_columns(coarse_label=0)
    frame.write_parquet(tmp_path / "my-train.parquet", metadata=huggingface(["a", "b", "c"], label=label))
    frame[:2].write_parquet(tmp_path / "my-test.parquet")
    data = load(str(tmp_path))
    np.testing.assert_array_equal(data.train.inputs.numpy(), pixels.transpose(0, 3, 1, 2))
    assert data.labels.tolist() == [0, 1, 2, 1]
    assert data.class_names == ("a", "b", "c")
    assert data.name == tmp_path.name
    assert len(data.test) == 2


def test_shards_are_read_in_order_from_the_data_folder_of_a_repository(tmp_path):
    (tmp_path / "data").mkdir()
    first, second = (table([encode(array) for array in colours(2)], labels) for labels in ([0, 1], [2, 0]))
    first.write_parquet(tmp_path / "data" / "train-00000-of-00002.parquet")
    second.write_parquet(tmp_path / "data" / "train-00001-of-00002.parquet")
    second.write_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet")
    data = load(str(tmp_path))
    assert data.labels.tolist() == [0, 1, 2, 0]
    assert data.test.labels.tolist() == [2, 0]
    assert data.class_names == ("0", "1", "2")


def test_a_missing_shard_is_an_input_error(tmp_path):
    table([encode(colours(1)[0])], [0]).write_parquet(tmp_path / "train-00000-of-00002.parquet")
    with pytest.raises(InputError, match="1 of 2 in"):
        load(str(tmp_path))


def test_a_single_file_gets_a_stratified_hold_out(tmp_path):
    table([encode(array) for array in colours(20)], [0, 1] * 10).write_parquet(tmp_path / "pets.parquet")
    data = load(str(tmp_path / "pets.parquet"))
    assert (data.name, len(data.train)) == ("pets", 16)
    assert np.bincount(data.test.labels.numpy()).tolist() == [2, 2]


def test_grey_images_have_one_channel(tmp_path):
    grey = colours(2)[..., 0]
    table([encode(array) for array in grey], [0, 1]).write_parquet(tmp_path / "grey.parquet")
    data = load(str(tmp_path / "grey.parquet"))
    assert data.input_shape == (1, 6, 5)
    stored = {array.tobytes() for array in grey}
    assert {data.train.inputs.numpy().tobytes(), data.test.inputs.numpy().tobytes()} == stored


def test_grey_transparent_and_palette_images_among_coloured_ones_become_colour(tmp_path):
    red = np.full((4, 4, 3), [255, 0, 0], dtype=np.uint8)
    clear_red = np.dstack([red, np.full((4, 4), 128, dtype=np.uint8)])
    palette = Image.fromarray(red).convert("P")
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", transparency=bytes([0, 255]))
    grey = np.full((4, 4), 77, dtype=np.uint8)
    images = [encode(red), encode(clear_red), buffer.getvalue(), encode(grey)]
    for split in ("train", "test"):
        table(images, [0, 1, 0, 1]).write_parquet(tmp_path / f"{split}.parquet")
    means = load(str(tmp_path)).train.inputs.float().mean(dim=(2, 3)).tolist()
    assert means == [[255, 0, 0], [255, 0, 0], [255, 0, 0], [77, 77, 77]]


def test_jpeg_images_are_close_to_what_was_encoded(tmp_path):
    smooth = np.linspace(0, 255, 16 * 16).reshape(16, 16).astype(np.uint8)
    picture = np.dstack([smooth, smooth.T, 255 - smooth])
    for split in ("train", "test"):
        frame = table([encode(picture, "JPEG", quality=95, subsampling=0)] * 2, [0, 1])
        frame.write_parquet(tmp_path / f"{split}.parquet")
    decoded = load(str(tmp_path)).train.inputs[0].numpy().transpose(1, 2, 0)
    assert np.abs(decoded.astype(int) - picture).max() < 12


GOOD = encode(colours(1)[0])
DEEP = encode(np.full((6, 5), 40_000, dtype=np.uint16))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            table([GOOD, encode(colours(1, (7, 5))[0])], [0, 1]),
            r"6x5 \(2 images\), 7x5 \(2 images\).*image_size",
        ),
        (table([GOOD, GOOD[:40]], [0, 1]), "image of row 1 is damaged"),
        (table([GOOD, b"no image"], [0, 1]), "image of row 1 is damaged"),
        (table([GOOD, DEEP], [0, 1]), "row 1 has more than 8 bits"),
        (table([GOOD, None], [0, 1]), "row 1 holds no image bytes"),
        (table([GOOD, GOOD], [0, None]), "1 rows hold no label"),
        (table([GOOD, GOOD], [0, -1]), "label -1"),
        (table([GOOD, GOOD], [0, 10**12]), "label 1000000000000"),
        (table([GOOD, GOOD], [0.0, 1.0]), "a column of integers or strings is called label.*label_column"),
        (table([GOOD, GOOD], [0, 1], label="kind"), r"kind \(Int64\)"),
        (table([], []).cast({"label": pl.Int64}), "no rows"),
        (pl.DataFrame({"label": [0, 1], "size": [1.0, 2.0]}), "a column holds images"),
    ],
)
def test_a_table_that_breaks_a_rule_is_an_input_error(frame, message, tmp_path):
    frame.write_parquet(tmp_path / "train.parquet")
    frame.write_parquet(tmp_path / "test.parquet")
    with pytest.raises(InputError, match=message):
        load(str(tmp_path))


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "flipped"])
def test_a_damaged_parquet_file_is_named(damage, tmp_path):
    path = tmp_path / "pets.parquet"
    table([encode(array) for array in colours(20)], [0, 1] * 10).write_parquet(path)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[200:300] = bytes(100)
    path.write_bytes(
        {"truncated": content[:-9], "empty": b"", "text": b"hello", "flipped": bytes(flipped)}[damage]
    )
    with pytest.raises(InputError, match=r"pets\.parquet"):
        load(str(path))


def test_unreadable_class_names_are_an_input_error(tmp_path):
    frame = table([GOOD] * 10, [0, 1] * 5)
    frame.write_parquet(tmp_path / "pets.parquet", metadata={"huggingface": "{broken"})
    with pytest.raises(InputError, match="readable `huggingface` metadata"):
        load(str(tmp_path / "pets.parquet"))


def test_a_folder_needs_training_files(tmp_path):
    with pytest.raises(
        InputError, match="must hold parquet, CSV or TSV files, one folder of images per class"
    ):
        load(str(tmp_path))
    table([GOOD], [0]).write_parquet(tmp_path / "test.parquet")
    with pytest.raises(InputError, match="contains `train`"):
        load(str(tmp_path))
