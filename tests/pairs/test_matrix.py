"""Every technique on every kind of architecture and of data: it runs, changes a copy and stays finite."""

import io

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from torch import nn

import limbeck
from limbeck import data, models
from limbeck.core.fingerprint import hash_state
from limbeck.techniques import TECHNIQUES

NUM_CLASSES = 3
NUM_SAMPLES = 40
SIZE = 16


class Plain(nn.Module):
    """What a user writes."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, images):
        return self.layers(images)


def make_zoo():
    return models.build("cnn", input_shape=(3, SIZE, SIZE), num_classes=NUM_CLASSES, seed=0)


def make_timm():
    import timm

    return models.adapt(timm.create_model("test_resnet", num_classes=NUM_CLASSES), input_size=SIZE)


def make_torchvision():
    import torchvision

    return torchvision.models.ShuffleNetV2([1, 1, 1], [4, 8, 8, 8, 16], num_classes=NUM_CLASSES)


def make_vit():
    import transformers

    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=SIZE,
        patch_size=8,
        num_labels=NUM_CLASSES,
    )
    return transformers.ViTForImageClassification(config)


ARCHITECTURES = {
    "plain": Plain,
    "zoo": make_zoo,
    "timm": make_timm,
    "torchvision": make_torchvision,
    "transformers": make_vit,
}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (NUM_SAMPLES, SIZE, SIZE, 3), dtype=np.uint8), np.arange(NUM_SAMPLES) % 3


def save_png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def as_npz(images, folder):
    pixels, labels = images
    np.savez(folder / "set.npz", x=pixels, y=labels)
    return data.load(folder / "set.npz")


def as_floats(images, folder):
    pixels, labels = images
    np.savez(folder / "set.npz", x=pixels.transpose(0, 3, 1, 2) / np.float32(255), y=labels)
    return data.load(folder / "set.npz")


def as_folder(images, folder):
    for number, (image, label) in enumerate(zip(*images, strict=True)):
        place = folder / f"class-{label}" / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(save_png(image))
    return data.load(folder)


def as_parquet(images, folder):
    pixels, labels = images
    rows = [{"bytes": save_png(image), "path": None} for image in pixels]
    pl.DataFrame({"image": rows, "label": labels}).write_parquet(folder / "train.parquet")
    return data.load(folder)


def as_stored(images, folder):
    as_folder(images, folder)
    return data.load(folder, memory_limit=1000)


def as_python(images, folder):
    pixels, labels = images
    tensors = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return data.from_dataset(list(zip(tensors, labels.tolist(), strict=True)), name="pairs")


# What these load as differs: bytes in memory, floats in memory, bytes in a file.
DATA = {"npz": as_npz, "floats": as_floats, "stored": as_stored}
# These load as bytes in memory too, so one technique of each shape will do.
MORE_DATA = {"folder": as_folder, "parquet": as_parquet, "python": as_python}
SHAPES = ["kd", "dml", "dp-kd-soup"]


@pytest.fixture(scope="module", params=DATA)
def images_as(request, images, tmp_path_factory, monkeypatch_module):
    monkeypatch_module.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    return DATA[request.param](images, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=MORE_DATA)
def more_images_as(request, images, tmp_path_factory):
    return MORE_DATA[request.param](images, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module", params=ARCHITECTURES)
def pair(request):
    """A student and a teacher of one kind of architecture."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ARCHITECTURES[request.param](), ARCHITECTURES[request.param]()


@pytest.mark.slow
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_runs_on_every_architecture_and_every_kind_of_images(images_as, pair, technique):
    check_transfer(*pair, images_as, technique)


@pytest.mark.slow
@pytest.mark.parametrize("technique", SHAPES)
def test_one_technique_of_each_shape_runs_on_the_other_kinds_of_images(more_images_as, pair, technique):
    check_transfer(*pair, more_images_as, technique)


def check_transfer(student, teacher, data_set, technique):
    before = hash_state(student.state_dict())
    outcome = limbeck.transfer(
        student,
        teacher,
        data_set,
        technique=technique,
        epochs=1,
        batch_size=32,
        lr=1e-3,
        keep="last",
        baseline=False,
        progress=False,
    )
    assert type(outcome.student) is type(student)
    assert hash_state(student.state_dict()) == before
    moved = hash_state(outcome.student.state_dict()) != before
    assert moved or outcome.record.attempt.share_from_teacher == 0
    assert all(torch.isfinite(parameter).all() for parameter in outcome.student.parameters())
    assert outcome.record.attempt.kept_epoch == 1


WORDS = ["the", "a", "good", "bad", "fine", "film", "plot", "actor", "was", "is", "very", "not"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    rng = np.random.default_rng(0)
    rows = {
        "text": [" ".join(rng.choice(WORDS, 5)) for _ in range(NUM_SAMPLES)],
        "label": np.arange(NUM_SAMPLES) % 3,
    }
    path = tmp_path_factory.mktemp("texts") / "reviews.csv"
    pl.DataFrame(rows).write_csv(path)
    return data.load(path)


def make_bert(words, seed):
    import tokenizers
    import transformers

    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=NUM_CLASSES,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.adapt(transformers.BertForSequenceClassification(config), tokenizer=tokenizer)


@pytest.fixture(scope="module")
def text_pair():
    """A student and a teacher whose tokenizers have other vocabularies."""
    return make_bert(WORDS, 0), make_bert(WORDS[::-1][:8], 1)


def test_texts_that_are_cut_are_counted_for_each_tokenizer(texts, text_pair):
    short = models.adapt(text_pair[0], max_length=4)
    options = {"technique": "kd", "epochs": 0, "baseline": False, "progress": False}
    record = limbeck.transfer(short, text_pair[1], texts, **options).record
    expected = "100% of the texts are longer than the 4 tokens that The student reads, and were cut."
    assert [s[: len(expected)] for s in record.warnings if "were cut" in s] == [expected]
    compared = limbeck.compare(short, text_pair[1], texts, progress=False)
    assert sum("were cut" in sentence for sentence in compared.warnings) == 1


def test_dropout_is_seeded_and_leaves_the_global_state_alone(texts, text_pair):
    options = {"technique": "kd", "epochs": 1, "lr": 1e-3, "keep": "last", "baseline": False}
    assert any(isinstance(module, nn.Dropout) and module.p > 0 for module in text_pair[0].modules())
    state = torch.get_rng_state()
    first, again = (limbeck.transfer(*text_pair, texts, progress=False, **options).student for _ in range(2))
    assert hash_state(first.state_dict()) == hash_state(again.state_dict())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_runs_on_texts_with_two_tokenizers(texts, text_pair, technique):
    check_transfer(*text_pair, texts, technique)
