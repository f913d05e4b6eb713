"""Counted operations are those of a calculation by hand."""

import torch
from torch import nn

from benchmarks import machine_limit, sides
from limbeck.engine import Training

TRAINING = Training(epochs=1, batch_size=8, lr=0.001, memory_format="channels-last")


def test_a_linear_layer_multiplies_once_forward_and_once_for_its_weights():
    model = nn.Linear(5, 3)
    counted = machine_limit.count_flops(
        model, torch.randn(8, 5), torch.zeros(8, dtype=torch.int64), training=TRAINING
    )
    assert counted == 2 * (2 * 8 * 5 * 3)


def test_the_small_cnn_has_the_operations_of_its_layers():
    model = sides.build("cnn", (1, 28, 28), seed=0)
    counted = machine_limit.count_flops(
        model, torch.randn(8, 1, 28, 28), torch.zeros(8, dtype=torch.int64), training=TRAINING
    )
    first = 14 * 14 * 16 * 9
    others = 7 * 7 * 32 * 16 * 9 + 32 * 7 * 7 * 64 + 64 * 10
    # The first layer needs no gradient of the images.
    assert counted == 2 * 8 * (2 * first + 3 * others)


def test_a_product_has_a_rate():
    rate = machine_limit.time_product(64, torch.float32, torch.device("cpu"))
    assert 1e6 < rate < 1e15


def test_resnet18_keeps_small_images_at_their_size():
    model = sides.build("resnet18", (3, 32, 32), seed=0).eval()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert model.layer1(model.conv1(torch.zeros(2, 3, 32, 32))).shape[-2:] == (32, 32)
