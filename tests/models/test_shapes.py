"""Models of the zoo meet data of another shape than they were trained on."""

import pytest
import torch
from tests.models.conftest import random_images

from limbeck.core.errors import InputError
from limbeck.data import Normalization
from limbeck.models import (
    Classifier,
    Preprocessing,
    build,
    build_architecture,
    load_classifier,
    save_classifier,
)
from limbeck.models.shapes import guess_shape, seen_shape

GREY = Normalization(mean=(0.3,), std=(0.2,))
SIZED = pytest.mark.parametrize("arch", ["mlp", "cnn"])


def make(arch, shape, **settings):
    module = build(arch, input_shape=shape, num_classes=3, seed=0).eval()
    return Classifier(module, arch=arch, preprocessing=Preprocessing(**settings))


def save(classifier, folder, shape):
    settings = {"training": {}, "accuracies": {}, "data_fingerprint": "0" * 16}
    save_classifier(classifier, folder, input_shape=shape, **settings)
    return folder


def save_weights(classifier, path):
    torch.save(classifier.module.state_dict(), path)
    return path


def test_what_a_model_sees_is_resized_and_repeated():
    rgb = Normalization(mean=(0.5,) * 3, std=(0.5,) * 3)
    assert seen_shape((1, 28, 28), Preprocessing()) == (1, 28, 28)
    assert seen_shape((1, 28, 28), Preprocessing(normalization=rgb)) == (3, 28, 28)
    assert seen_shape((1, 28, 28), Preprocessing(input_size=(8, 9))) == (1, 8, 9)
    assert seen_shape(None, Preprocessing(normalization=rgb, input_size=(8, 9))) == (3, 8, 9)
    assert seen_shape(None, Preprocessing(input_size=(8, 9))) is None
    assert seen_shape((13,), Preprocessing()) == (13,)


@pytest.mark.parametrize(
    ("columns", "shape", "expected"),
    [
        (64, (1, 8, 8), (1, 8, 8)),
        (64, (3, 8, 8), (1, 8, 8)),
        (192, (1, 8, 8), (3, 8, 8)),
        (64, (1, 16, 16), (1, 8, 8)),
        (192, (1, 28, 28), (3, 8, 8)),
        (128, (2, 8, 8), (2, 8, 8)),
        (80, (1, 8, 8), None),
        (14, (13,), (14,)),
    ],
)
def test_the_shape_an_mlp_was_trained_on_is_guessed_from_its_first_weights(columns, shape, expected):
    assert guess_shape("mlp", columns, shape) == expected


@SIZED
@pytest.mark.parametrize("is_folder", [True, False])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 8, 8), r"was trained on 1x8x8, but the data are 3x8x8\. Bring the images to 1 channel"),
        (
            (1, 16, 16),
            r"trained on 1x8x8, but the data are 1x16x16\. Pass `--input-size 8` \(`input_size=8` in "
            r"Python\), or bring the images to 8x8",
        ),
        (
            (3, 16, 16),
            r"the data are 3x16x16\. Bring the images to 1 channel\. Pass `--input-size 8`",
        ),
    ],
)
def test_data_of_another_shape_are_named_and_not_the_weights(tmp_path, arch, is_folder, shape, message):
    classifier = make(arch, (1, 8, 8))
    if is_folder:
        source, settings = save(classifier, tmp_path / "m", (1, 8, 8)), {}
    else:
        source, settings = save_weights(classifier, tmp_path / "m.pt"), {"arch": arch}
    with pytest.raises(InputError, match=message):
        load_classifier(source, **settings, input_shape=shape)


@SIZED
@pytest.mark.parametrize("is_folder", [True, False])
def test_an_input_size_brings_larger_images_to_the_size_of_training(tmp_path, arch, is_folder):
    classifier = make(arch, (1, 8, 8), normalization=GREY, input_size=(8, 8))
    images = random_images(2, 1, 16, 16)
    if is_folder:
        source = save(make(arch, (1, 8, 8), normalization=GREY), tmp_path / "m", (1, 8, 8))
        settings = {}
    else:
        source = save_weights(classifier, tmp_path / "m.pt")
        settings = {"arch": arch, "normalize": GREY}
    loaded = load_classifier(source, **settings, input_size=8, input_shape=(1, 16, 16))
    assert torch.equal(loaded(images), classifier(images))


@SIZED
def test_a_saved_model_with_an_input_size_comes_back(tmp_path, arch):
    classifier = make(arch, (1, 8, 8), normalization=GREY, input_size=(8, 8))
    folder = save(classifier, tmp_path / "m", (1, 16, 16))
    images = random_images(2, 1, 20, 20)
    assert torch.equal(load_classifier(folder)(images), classifier(images))
    assert torch.equal(load_classifier(folder, input_shape=(1, 20, 20))(images), classifier(images))


@SIZED
def test_bare_weights_need_no_data_where_size_and_normalization_are_given(tmp_path, arch):
    path = save_weights(make(arch, (3, 8, 10)), tmp_path / "m.pt")
    loaded = load_classifier(path, arch=arch, input_size=(8, 10), normalize="imagenet")
    assert loaded(random_images(2, 1, 20, 20)).shape == (2, 3)


def test_a_wrong_input_size_is_named(tmp_path):
    path = save_weights(make("mlp", (1, 8, 8)), tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"data are 1x20x20, resized to 16x16\. Pass `--input-size 8`"):
        load_classifier(path, arch="mlp", input_size=16, input_shape=(1, 20, 20))


def test_a_size_that_is_no_square_is_asked_for_with_both_numbers(tmp_path):
    folder = save(make("cnn", (1, 8, 12)), tmp_path / "m", (1, 8, 12))
    with pytest.raises(InputError, match=r"`--input-size 8,12` \(`input_size=\(8, 12\)` in Python\)"):
        load_classifier(folder, input_shape=(1, 28, 28))


def test_weights_of_a_shape_that_cannot_be_guessed_are_counted(tmp_path):
    path = save_weights(make("mlp", (1, 8, 10)), tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"`1\.weight` takes 80 values.*data of 1x8x8 give it 64"):
        load_classifier(path, arch="mlp", input_shape=(1, 8, 8))


def test_rows_of_numbers_of_another_length_are_refused(tmp_path):
    folder = save(make("mlp", (13,)), tmp_path / "m", (13,))
    with pytest.raises(InputError, match=r"was trained on 13, but the data are 14\. Bring the data to that"):
        load_classifier(folder, input_shape=(14,))
    assert load_classifier(folder, input_shape=(13,))(torch.zeros(2, 13)).shape == (2, 3)


def test_an_mlp_takes_the_same_numbers_in_another_shape(tmp_path):
    folder = save(make("mlp", (64,)), tmp_path / "m", (64,))
    assert load_classifier(folder, input_shape=(1, 8, 8))(random_images(2, 1, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize("arch", ["mlp", "cnn", "resnet8", "timm:test_resnet"])
def test_a_normalization_with_another_number_of_means_is_named(tmp_path, arch):
    module = build_architecture(arch, num_classes=3, input_shape=(1, 8, 8))
    torch.save(module.state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"one mean per channel.*3 means.*take 1 channel.*--normalize"):
        load_classifier(tmp_path / "m.pt", arch=arch, normalize="imagenet", input_shape=(1, 8, 8))


@SIZED
def test_grey_images_for_a_coloured_network_need_a_normalization_that_repeats_them(tmp_path, arch):
    path = save_weights(make(arch, (3, 8, 8)), tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"the data are 1x8x8\. Pass a normalization with 3 means"):
        load_classifier(path, arch=arch, input_shape=(1, 8, 8))
    loaded = load_classifier(path, arch=arch, input_shape=(1, 8, 8), normalize="imagenet")
    assert loaded(random_images(2, 1, 8, 8)).shape == (2, 3)
