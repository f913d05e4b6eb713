"""Tables of texts and labels: CSV, TSV and parquet."""

import json

import polars as pl
import pytest

from limbeck.core.errors import InputError
from limbeck.data import Texts, load, load_inputs

REVIEWS = ["good", "bad, really", 'a "quoted" one', "two\nlines"] * 3
FRAME = pl.DataFrame({"id": range(12), "text": REVIEWS, "label": ["pos", "neg", "pos", "neg"] * 3})
SEPARATORS = {".csv": ",", ".tsv": "\t"}


def write(frame, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator=SEPARATORS[path.suffix])
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_folder_of_tables_gives_texts_and_class_names_in_order(suffix, tmp_path):
    write(FRAME, tmp_path / f"train{suffix}")
    write(FRAME[1:3], tmp_path / f"test{suffix}")
    data = load(tmp_path)
    assert isinstance(data.train.inputs, Texts)
    assert list(data.train.inputs) == REVIEWS
    assert (data.class_names, data.labels.tolist()) == (("neg", "pos"), [1, 0, 1, 0] * 3)
    assert (list(data.test.inputs), data.test.labels.tolist()) == (REVIEWS[1:3], [0, 1])


def test_a_single_file_is_split(tmp_path):
    data = load(write(FRAME, tmp_path / "reviews.csv"))
    assert (data.name, len(data.train), sorted(data.test.labels.tolist())) == ("reviews", 10, [0, 1])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_integer_labels_are_kept(suffix, tmp_path):
    frame = FRAME.with_columns(label=pl.Series([0, 2, 1, 2] * 3))
    data = load(write(frame, tmp_path / f"train{suffix}").parent)
    assert data.class_names == ("0", "1", "2")


def test_numbers_that_are_texts_stay_as_they_are_written(tmp_path):
    frame = pl.DataFrame({"text": ["007", "1.50"] * 5, "label": [0, 1] * 5})
    assert set(load_inputs(write(frame.select("text"), tmp_path / "a.csv"))) == {"007", "1.50"}


def test_class_names_in_the_schema_of_a_parquet_file_are_used(tmp_path):
    feature = {"names": ["bad", "good"], "_type": "ClassLabel"}
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": feature}}})}
    frame = pl.DataFrame({"text": REVIEWS, "label": [0, 1] * 6})
    frame.write_parquet(tmp_path / "train.parquet", metadata=metadata)
    assert load(tmp_path).class_names == ("bad", "good")


@pytest.mark.parametrize("name", ["sentence", "Content", "review", "anything"])
def test_a_text_column_is_found_by_its_name_or_as_the_only_one_of_strings(name, tmp_path):
    data = load(write(FRAME.rename({"text": name}), tmp_path / "a.parquet"))
    assert set(data.train.inputs) <= set(REVIEWS)


def test_columns_may_be_named(tmp_path):
    frame = FRAME.rename({"text": "body", "label": "mood"}).with_columns(author=pl.lit("x"))
    path = write(frame, tmp_path / "a.csv")
    data = load(path, text_column="body", label_column="mood")
    assert data.class_names == ("neg", "pos")
    with pytest.raises(InputError, match=r"body \(String\).*author \(String\).*with text_column"):
        load(path, label_column="mood")
    with pytest.raises(InputError, match=r"mood \(String\).*with label_column"):
        load(path, text_column="body")
    with pytest.raises(InputError, match=r"Unknown column `bodi`\. Did you mean `body`"):
        load(path, text_column="bodi", label_column="mood")
    assert load(path, text_column="id", label_column="mood").train.inputs[0] == "0"
    with pytest.raises(InputError, match="the column id is of strings"):
        load(write(frame, tmp_path / "a.parquet"), text_column="id", label_column="mood")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"text": ["a", None], "label": [0, 1]}), "2 rows without one.*the first at 1"),
        (pl.DataFrame({"text": ["a", " "], "label": [0, 1]}), "2 rows without one.*the first at 1"),
        (pl.DataFrame({"text": ["a", "b"], "label": [0, None]}), "1 rows hold no label"),
        (pl.DataFrame({"text": ["a", "b"], "label": [0, -1]}), "label -1"),
        (pl.DataFrame({"text": ["a", "b"], "label": ["x", "x"]}), "at least 2 classes"),
        (pl.DataFrame({"text": ["a"], "label": [0]})[:0], "holds no rows"),
        (pl.DataFrame({"text": ["a", "b"], "mood": [0.5, 1.5]}), r"mood \(Float64\)"),
    ],
)
def test_a_table_that_breaks_a_rule_is_an_input_error(frame, message, tmp_path):
    frame.write_parquet(tmp_path / "train.parquet")
    frame.write_parquet(tmp_path / "test.parquet")
    with pytest.raises(InputError, match=message):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"text,label\na,0,1,2\n", b"text,label\n\xff\xfe,0\n"])
def test_a_damaged_csv_file_is_named(content, tmp_path):
    (tmp_path / "broken.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.csv"):
        load(tmp_path / "broken.csv")


def test_training_and_test_labels_are_of_one_kind(tmp_path):
    write(FRAME, tmp_path / "train.parquet")
    write(FRAME.with_columns(label=pl.lit(1)), tmp_path / "test.parquet")
    with pytest.raises(InputError, match="all integers or all strings"):
        load(tmp_path)


def test_a_table_without_labels_is_an_unlabelled_set(tmp_path):
    path = write(FRAME.select("id", "text"), tmp_path / "proxy.csv")
    assert list(load_inputs(path)) == REVIEWS
    assert list(load_inputs(path.parent)) == REVIEWS
    with pytest.raises(InputError, match="with label_column"):
        load(path)


def test_the_inputs_of_a_labelled_table_are_its_training_part(tmp_path):
    path = write(FRAME, tmp_path / "a.parquet")
    assert load_inputs(path) == load(path).train.inputs


def test_an_image_size_is_no_setting_of_texts(tmp_path):
    with pytest.raises(InputError, match="image_size fits the source"):
        load(write(FRAME, tmp_path / "a.csv"), image_size=32)
