"""Classifiers of any architecture saved and loaded, and their weights without limbeck."""

import json

import pytest
import timm
import torch
from safetensors.torch import load_file
from tests.models.conftest import make_bert, make_tokenizer, make_vit, random_images
from torch import nn

from limbeck.core.errors import InputError
from limbeck.models import (
    Classifier,
    Preprocessing,
    adapt,
    build,
    build_architecture,
    encode_texts,
    load_classifier,
    read_card,
    save_classifier,
)

IMAGES = random_images(3, 3, 16, 16)


def save(classifier, folder, **settings):
    known = {"training": {"epochs": 1}, "accuracies": {"test": 0.5}, "data_fingerprint": "0" * 16}
    return save_classifier(classifier, folder, **{"input_shape": (3, 16, 16)} | known | settings)


def make_classifiers(user_file):
    zoo = build("cnn", input_shape=(3, 16, 16), num_classes=3, seed=0)
    return {
        "cnn": Classifier(zoo, arch="cnn", class_names=("a", "b", "c")),
        "timm": adapt(timm.create_model("test_resnet", pretrained=False, num_classes=3), input_size=32),
        "torchvision": Classifier(
            build_architecture("torchvision:mobilenet_v3_small", num_classes=3),
            arch="torchvision:mobilenet_v3_small",
        ),
    }


@pytest.mark.parametrize("name", ["cnn", "timm", "torchvision"])
def test_a_classifier_comes_back_bit_for_bit(tmp_path, user_file, name):
    classifier = adapt(make_classifiers(user_file)[name], normalize="imagenet").eval()
    card = save(classifier, tmp_path / "m", parents=("0123",))
    loaded = load_classifier(tmp_path / "m")
    assert torch.equal(loaded(IMAGES), classifier(IMAGES))
    assert not loaded.training
    assert (loaded.class_names, loaded.preprocessing, loaded.arch) == (
        classifier.class_names,
        classifier.preprocessing,
        classifier.arch,
    )
    assert read_card(tmp_path / "m") == card
    assert card.parents == ("0123",)


def test_a_transformers_image_model_comes_back(tmp_path, vit):
    save(adapt(vit, normalize="imagenet"), tmp_path / "m")
    loaded = load_classifier(tmp_path / "m")
    assert torch.equal(loaded(IMAGES), adapt(vit, normalize="imagenet")(IMAGES))
    assert loaded.class_names == ("cat", "dog", "owl")
    save(loaded, tmp_path / "again")
    assert torch.equal(load_classifier(tmp_path / "again")(IMAGES), loaded(IMAGES))


def test_a_transformers_text_model_comes_back_with_its_tokenizer(tmp_path):
    classifier = adapt(make_bert(), tokenizer=make_tokenizer(), class_names=("bad", "good"), max_length=9)
    save(classifier, tmp_path / "m", input_shape=())
    loaded = load_classifier(tmp_path / "m")
    assert (loaded.max_length, loaded.class_names) == (9, ("bad", "good"))
    assert loaded.tokenizer_id == classifier.tokenizer_id
    columns = encode_texts([loaded, classifier], ["a good film", "bad"])
    assert torch.equal(loaded(columns), classifier(columns))


def test_a_saved_transformers_model_is_read_by_transformers(tmp_path, vit):
    transformers = pytest.importorskip("transformers")
    save(adapt(vit), tmp_path / "m")
    model = transformers.AutoModelForImageClassification.from_pretrained(
        tmp_path / "m", local_files_only=True
    )
    pixels = torch.randn(2, 3, 16, 16)
    assert torch.equal(model(pixels).logits, vit(pixels).logits)
    assert model.config.id2label == {0: "cat", 1: "dog", 2: "owl"}


def test_a_saved_text_model_is_read_by_transformers_with_its_tokenizer(tmp_path):
    transformers = pytest.importorskip("transformers")
    save(adapt(make_bert(), tokenizer=make_tokenizer()), tmp_path / "m", input_shape=())
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "m", local_files_only=True)
    assert tokenizer("very good films")["input_ids"] == [2, 7, 5, 8, 9, 3]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "m", local_files_only=True
    ).eval()
    tokens = tokenizer(["a good film"], return_tensors="pt")
    assert torch.equal(model(**tokens).logits, make_bert()(**tokens).logits)


def test_code_is_not_run_because_a_card_names_it(tmp_path, user_file):
    ref = f"{user_file}:small"
    classifier = Classifier(build_architecture(ref, num_classes=3).eval(), arch=ref)
    save(classifier, tmp_path / "m")
    content = user_file.read_text()
    user_file.write_text(f"open({str(tmp_path / 'run')!r}, 'w').close()\n")
    with pytest.raises(
        InputError, match=r"never run on a card's word\. Pass `--arch .*mine\.py:small` again"
    ):
        load_classifier(tmp_path / "m")
    assert not (tmp_path / "run").exists()
    user_file.write_text(content)
    assert torch.equal(load_classifier(tmp_path / "m", arch=ref)(IMAGES), classifier(IMAGES))


def test_a_model_from_python_needs_its_maker(tmp_path, net):
    save(adapt(net), tmp_path / "m")
    with pytest.raises(InputError, match=r"must be given, because it was made in Python.*module="):
        load_classifier(tmp_path / "m")
    with torch.no_grad():
        expected = adapt(net)(IMAGES)
        net[4].bias.zero_()
    assert torch.equal(load_classifier(tmp_path / "m", module=net)(IMAGES), expected)


def test_what_is_given_wins_over_the_card(tmp_path, net):
    save(adapt(net, class_names=tuple("abcde"), normalize="imagenet", input_size=8), tmp_path / "m")
    loaded = load_classifier(
        tmp_path / "m", module=net, class_names=tuple("vwxyz"), normalize="none", input_size="none"
    )
    assert loaded.class_names == tuple("vwxyz")
    assert loaded.preprocessing == Preprocessing()


class Tied(nn.Module):
    """Two layers that share a weight, and a buffer that is a view of it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("corner", self.first.weight.detach()[:2, :2])

    def forward(self, x):
        return self.second(self.first(x))


def test_plain_pytorch_loads_the_weights_in_one_line(tmp_path, net):
    tied = Tied()
    save(adapt(tied), tmp_path / "tied")
    save(adapt(net.to(memory_format=torch.channels_last)), tmp_path / "net")
    model = Tied()
    model.load_state_dict(load_file(tmp_path / "tied" / "model.safetensors"))
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in tied.state_dict().items())
    net.load_state_dict(load_file(tmp_path / "net" / "model.safetensors"))
    assert torch.equal(load_classifier(tmp_path / "tied", module=Tied()).module.second.bias, tied.second.bias)


def test_weights_of_another_architecture_are_refused(tmp_path):
    save(Classifier(build("cnn", input_shape=(3, 16, 16), num_classes=3, seed=0), arch="cnn"), tmp_path / "m")
    with pytest.raises(InputError, match="0 of its 8 tensors"):
        load_classifier(tmp_path / "m", arch="resnet8")
    path = tmp_path / "m" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights_hash": "f" * 16}))
    with pytest.raises(InputError, match="hash"):
        load_classifier(tmp_path / "m")


def test_a_classifier_without_class_names_is_saved_with_those_given(tmp_path, net):
    card = save(adapt(net), tmp_path / "m", class_names=tuple("vwxyz"))
    assert card.class_names == tuple("vwxyz")
    assert load_classifier(tmp_path / "m", module=net).class_names == tuple("vwxyz")
    own = save(adapt(net, class_names=tuple("abcde")), tmp_path / "own", class_names=tuple("vwxyz"))
    assert own.class_names == tuple("abcde")


def test_class_names_given_to_a_transformers_model_are_in_its_config(tmp_path):
    vit = make_vit(num_labels=2)
    save(adapt(vit), tmp_path / "m", class_names=("cat", "dog"))
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["id2label"] == {"0": "cat", "1": "dog"}
    assert load_classifier(tmp_path / "m").class_names == ("cat", "dog")
