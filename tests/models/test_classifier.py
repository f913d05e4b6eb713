"""What a classifier does to inputs, against limbeck.data.normalize, hand calculations and Pillow."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.models.conftest import make_bert, make_tokenizer, random_images
from torch import nn

from limbeck.core.errors import InputError
from limbeck.data import Normalization, normalize
from limbeck.models import Classifier, Preprocessing
from limbeck.models.classifier import pick_logits

RGB = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def prepare(inputs, **preprocessing):
    return Classifier(nn.Flatten(), preprocessing=Preprocessing(**preprocessing)).preprocess(inputs)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), channels=st.integers(1, 4), is_float=st.booleans())
def test_normalizing_equals_that_of_data_bit_for_bit(seed, channels, is_float):
    rng = np.random.default_rng(seed)
    normalization = Normalization(
        mean=tuple(rng.uniform(0, 1, channels)), std=tuple(rng.uniform(0.01, 1, channels))
    )
    images = random_images(5, channels, 6, 7, seed=seed)
    inputs = images.float() / 255 if is_float else images
    prepared = prepare(inputs, normalization=normalization)
    assert torch.equal(prepared, normalize(inputs, normalization))
    assert prepared.is_contiguous(memory_format=torch.channels_last)


def test_bytes_without_normalization_are_scaled_to_one():
    images = torch.tensor([[[[0, 51], [102, 255]]]], dtype=torch.uint8)
    torch.testing.assert_close(prepare(images).flatten(), torch.tensor([0.0, 0.2, 0.4, 1.0]))


def test_floating_point_inputs_are_left_as_they_are():
    inputs = torch.randn(3, 13)
    assert prepare(inputs) is inputs


def test_grey_images_are_repeated_where_the_normalization_has_three_channels():
    images = random_images(2, 1, 4, 4)
    assert torch.equal(
        prepare(images, normalization=RGB), normalize(images.expand(-1, 3, -1, -1).contiguous(), RGB)
    )


def test_shrinking_equals_pillow_up_to_its_rounding():
    """Pillow's bilinear filter is the reference of antialiasing; it rounds to bytes twice."""
    images = random_images(1, 1, 24, 30)
    expected = Image.fromarray(images[0, 0].numpy()).resize((10, 8), Image.Resampling.BILINEAR)
    resized = prepare(images, input_size=(8, 10))[0, 0] * 255
    assert np.abs(resized.numpy() - np.asarray(expected, dtype=np.float32)).max() <= 1.0


def test_resizing_before_normalizing_equals_resizing_after():
    images = random_images(2, 3, 9, 9)
    after = nn.functional.interpolate(normalize(images, RGB), size=[5, 5], mode="bilinear", antialias=True)
    torch.testing.assert_close(
        prepare(images, normalization=RGB, input_size=(5, 5)), after, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("inputs", "settings_", "message"),
    [
        (torch.zeros(2, 2, 4, 4, dtype=torch.uint8), {"normalization": RGB}, "with 3 means"),
        (torch.zeros(2, 7), {"normalization": RGB}, "with 3 means"),
        (torch.zeros(2, 7), {"input_size": (4, 4)}, "where an input size is set"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), {}, "inputs are uint8 images"),
        (torch.zeros(4, 4, dtype=torch.int64), {}, "pass tokens as a dict"),
    ],
)
def test_inputs_of_another_kind_are_refused(inputs, settings_, message):
    with pytest.raises(InputError, match=message):
        prepare(inputs, **settings_)


LOGITS = torch.randn(2, 3)


@pytest.mark.parametrize(
    "output",
    [LOGITS, {"logits": LOGITS}, SimpleNamespace(logits=LOGITS), (LOGITS, "features"), [LOGITS]],
)
def test_logits_are_found_in_what_modules_return(output):
    assert pick_logits(output) is LOGITS


@pytest.mark.parametrize(
    "output", [None, "logits", (), {"loss": LOGITS}, torch.zeros(3), torch.zeros(2, 3, 4)]
)
def test_anything_else_is_refused(output):
    with pytest.raises(InputError, match=r"A classifier returns logits \[batch, classes\]"):
        pick_logits(output)


def test_there_is_one_class_name_per_logit(net):
    with pytest.raises(InputError, match="2 class names and 5 logits"):
        Classifier(net, class_names=("a", "b"))(torch.zeros(1, 3, 8, 8))


def test_a_dict_becomes_keyword_arguments(bert):
    columns = {"input_ids": torch.tensor([[2, 5, 3]]), "attention_mask": torch.ones(1, 3, dtype=torch.int64)}
    assert torch.equal(Classifier(bert)(columns), bert(**columns).logits)


def test_columns_of_another_tokenizer_only_are_refused(bert):
    with pytest.raises(InputError, match="Pass every classifier to `encode_texts`"):
        Classifier(bert)({"0123456789abcdef/input_ids": torch.tensor([[2, 3]])})


def test_segments_are_dropped_where_a_model_does_not_take_them():
    class Bag(nn.Module):
        def forward(self, input_ids, attention_mask):
            return (input_ids * attention_mask).float()

    columns = {name: torch.ones(2, 3) for name in ("input_ids", "attention_mask", "token_type_ids")}
    assert torch.equal(Classifier(Bag())(columns), torch.ones(2, 3))


def test_a_copy_has_its_own_weights_and_the_same_tokenizer():
    classifier = Classifier(make_bert(), tokenizer=make_tokenizer(), max_length=8)
    copied = copy.deepcopy(classifier)
    with torch.no_grad():
        copied.module.classifier.bias.add_(1)
    assert not torch.equal(copied.module.classifier.bias, classifier.module.classifier.bias)
    assert copied.tokenizer is classifier.tokenizer
    assert copied.tokenizer_id == classifier.tokenizer_id


def test_only_the_modules_weights_are_in_the_state(net):
    classifier = Classifier(net, preprocessing=Preprocessing(normalization=RGB))
    assert set(classifier.state_dict()) == {f"module.{name}" for name in net.state_dict()}


def test_the_scales_move_with_the_module(net):
    classifier = Classifier(net, preprocessing=Preprocessing(normalization=RGB)).to("meta")
    assert classifier(torch.zeros(2, 3, 4, 4, dtype=torch.uint8, device="meta")).device.type == "meta"


def test_a_length_is_positive(net):
    with pytest.raises(InputError, match="max_length=0"):
        Classifier(net, max_length=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("is_whole", [True, False])
def test_inputs_take_the_type_of_the_modules_weights(dtype, is_whole):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 5))
    images = random_images(2, 3, 4, 4)
    expected = Classifier(module, preprocessing=Preprocessing(normalization=RGB))(images)
    classifier = Classifier(
        copy.deepcopy(module).to(torch.float32 if is_whole else dtype),
        preprocessing=Preprocessing(normalization=RGB),
    )
    logits = (classifier.to(dtype) if is_whole else classifier)(images)
    assert logits.dtype == dtype
    torch.testing.assert_close(logits.float(), expected, atol=0.05, rtol=0.05)
    assert classifier(torch.zeros(2, 3, 4, 4)).dtype == dtype


def test_weights_that_are_not_floating_point_do_not_decide_the_type_of_inputs():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = nn.Parameter(torch.zeros(1, dtype=torch.int64), requires_grad=False)
            self.weight = nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x):
            return x.flatten(1) * self.weight

    assert Classifier(Counting()).preprocess(random_images(2, 1, 2, 2)).dtype == torch.float64
