"""Tiny models of other libraries, and a tokenizer made of a dozen words."""

import pytest
import torch
from torch import nn

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "very", "film", "##s", "a", "not")


def make_tokenizer(words=WORDS):
    transformers = pytest.importorskip("transformers")
    return transformers.BertTokenizer(vocab={word: number for number, word in enumerate(words)})


def make_bert(*, seed=0, **settings):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        vocab_size=len(WORDS),
        max_position_embeddings=32,
        **{"num_labels": 2} | settings,
    )
    torch.manual_seed(seed)
    return transformers.BertForSequenceClassification(config).eval()


def make_vit(**settings):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        **settings,
    )
    torch.manual_seed(0)
    return transformers.ViTForImageClassification(config).eval()


def random_images(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)


@pytest.fixture
def tokenizer():
    return make_tokenizer()


@pytest.fixture
def bert():
    return make_bert()


@pytest.fixture
def vit():
    return make_vit(id2label={0: "cat", 1: "dog", 2: "owl"}, label2id={"cat": 0, "dog": 1, "owl": 2})


@pytest.fixture
def net():
    """A small convolutional network that any image size fits."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    ).eval()


@pytest.fixture
def user_file(tmp_path):
    """A user's own architecture file with a sibling that it imports."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "width_of_mine.py").write_text("WIDTH = 4\n")
    path = folder / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from torch import nn\n"
        "from width_of_mine import WIDTH\n"
        "@dataclass\n"
        "class Settings:\n"
        "    width: int = WIDTH\n"
        "def small(num_classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, Settings().width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "                         nn.Linear(Settings().width, num_classes))\n"
        "class Wrapped(nn.Module):\n"
        "    def __init__(self, num_classes=2):\n"
        "        super().__init__()\n"
        "        self.model = small(num_classes)\n"
        "    def forward(self, x):\n"
        "        return self.model(x)\n"
        "def fixed():\n"
        "    return small(6)\n"
        "def broken(num_classes):\n"
        "    raise KeyError('no such layer')\n"
        "def nothing(num_classes):\n"
        "    return None\n"
    )
    return path
