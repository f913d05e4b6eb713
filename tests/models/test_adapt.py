"""Models of other libraries as classifiers: what is read from them, and what overrides it."""

import pytest
import timm
import torch
import torchvision
from tests.models.conftest import make_bert, make_tokenizer, make_vit, random_images

from limbeck.core.errors import InputError
from limbeck.data import Normalization, normalize
from limbeck.models import NORMALIZATIONS, Classifier, Preprocessing, adapt


def test_a_timm_model_brings_its_normalization_and_size():
    model = timm.create_model("test_resnet", pretrained=False, num_classes=4).eval()
    classifier = adapt(model)
    half = Normalization(mean=(0.5,) * 3, std=(0.5,) * 3)
    assert classifier.preprocessing == Preprocessing(normalization=half, input_size=(160, 160))
    assert classifier.arch == "timm:test_resnet"
    images = random_images(2, 3, 160, 160)
    torch.testing.assert_close(classifier(images), model(normalize(images, half)))
    assert adapt(model, normalize="none", input_size="none").preprocessing == Preprocessing()


def test_a_torchvision_model_gives_its_own_logits():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=4).eval()
    images = random_images(2, 3, 32, 32)
    expected = model(normalize(images, NORMALIZATIONS["imagenet"]))
    assert torch.equal(adapt(model, normalize="imagenet")(images), expected)


def test_a_transformers_image_model_brings_class_names_and_size(vit):
    classifier = adapt(vit)
    assert classifier.class_names == ("cat", "dog", "owl")
    assert classifier.preprocessing.input_size == (16, 16)
    assert classifier(random_images(2, 3, 20, 24)).shape == (2, 3)


def test_labels_without_meaning_are_no_class_names():
    assert adapt(make_vit(num_labels=3)).class_names is None


def test_a_classifier_comes_back_as_it_is_or_with_what_is_given(net):
    classifier = adapt(net, class_names=tuple("abcde"), normalize=((0.5,) * 3, (0.2,) * 3))
    assert adapt(classifier) is classifier
    changed = adapt(classifier, input_size=(4, 6))
    assert isinstance(changed, Classifier)
    assert changed.module is net
    assert changed.class_names == tuple("abcde")
    assert changed.preprocessing == Preprocessing(
        normalization=Normalization(mean=(0.5,) * 3, std=(0.2,) * 3), input_size=(4, 6)
    )


def test_the_mode_of_the_model_is_kept(net):
    assert not adapt(net.eval()).training
    assert adapt(net.train()).training


def test_texts_are_no_longer_than_the_model_has_positions():
    assert adapt(make_bert(), tokenizer=make_tokenizer()).max_length == 32
    with pytest.raises(InputError, match="max_length=40 with 32 positions"):
        adapt(make_bert(), tokenizer=make_tokenizer(), max_length=40)
