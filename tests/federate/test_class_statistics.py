"""Class statistics add up over clients, and the layer they give is scikit-learn's on the pooled features."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn

from limbeck import models
from limbeck.core.errors import InputError
from limbeck.engine import predict, predict_logits
from limbeck.federate.class_statistics import ClassStatistics, add_up, find_head, refit_head, sum_up

CLASSES, INPUTS, FEATURES = 4, 6, 5
UNEQUAL = (70, 20, 45, 30)


def build():
    """A model in float64 whose features are those before its last layer."""
    generator = torch.Generator().manual_seed(1)
    layers = (nn.Linear(INPUTS, FEATURES), nn.Tanh(), nn.Linear(FEATURES, CLASSES))
    model = nn.Sequential(OrderedDict(zip(("first", "bend", "last"), layers, strict=True))).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * 0.5)
    return model.eval()


def draw(counts, seed=0):
    """Inputs whose classes overlap, in mixed order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(CLASSES), counts))
    inputs = rng.normal(size=(len(labels), INPUTS)) + np.eye(CLASSES, INPUTS)[labels] * 1.5
    return torch.from_numpy(inputs), torch.from_numpy(labels)


def features_of(model, inputs):
    with torch.no_grad():
        return model.bend(model.first(inputs)).numpy()


def refitted(inputs, labels, **changes):
    model = build()
    refit_head(model, sum_up(model, inputs, labels, num_classes=CLASSES), **changes)
    return model


def assert_equal_statistics(ours, theirs):
    for name, value in ours.to_state().items():
        torch.testing.assert_close(value, theirs.to_state()[name], rtol=1e-12, atol=1e-12)


def test_the_sums_are_those_of_numpy():
    model, (inputs, labels) = build(), draw(UNEQUAL)
    ours = sum_up(model, inputs, labels, num_classes=CLASSES)
    features = features_of(model, inputs)
    assert ours.counts.tolist() == list(UNEQUAL)
    sums = np.stack([features[labels.numpy() == number].sum(axis=0) for number in range(CLASSES)])
    np.testing.assert_allclose(ours.sums.numpy(), sums, rtol=1e-12, atol=1e-12)
    products = sum(np.outer(row, row) for row in features)
    np.testing.assert_allclose(ours.products.numpy(), products, rtol=1e-12, atol=1e-12)
    assert all(value.dtype == torch.float64 for value in ours.to_state().values())


def test_those_of_clients_add_up_to_those_of_the_pooled_samples():
    model, (inputs, labels) = build(), draw(UNEQUAL)
    parts = [(inputs[labels < 2], labels[labels < 2]), (inputs[labels >= 2], labels[labels >= 2])]
    own = [sum_up(model, *part, num_classes=CLASSES) for part in parts]
    pooled = sum_up(model, inputs, labels, num_classes=CLASSES)
    assert_equal_statistics(add_up(own), pooled)
    assert_equal_statistics(own[0] + own[1], pooled)


def test_samples_twice_are_the_sums_times_two():
    model, (inputs, labels) = build(), draw(UNEQUAL)
    twice = sum_up(model, torch.cat([inputs, inputs]), torch.cat([labels, labels]), num_classes=CLASSES)
    assert_equal_statistics(sum_up(model, inputs, labels, num_classes=CLASSES).scale(2), twice)


def test_a_client_without_samples_adds_nothing():
    model, (inputs, labels) = build(), draw(UNEQUAL)
    none = sum_up(model, inputs[:0], labels[:0], num_classes=CLASSES)
    pooled = sum_up(model, inputs, labels, num_classes=CLASSES)
    assert_equal_statistics(pooled + none, pooled)


def test_a_model_that_trains_is_asked_in_evaluation_mode_and_left_as_it_was():
    model = models.build("cnn", input_shape=(1, 8, 8), num_classes=10, seed=0).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 10
    ours = sum_up(model, inputs, labels, num_classes=10)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not find_head(model, 10)._forward_pre_hooks
    assert_equal_statistics(ours, sum_up(model.eval(), inputs, labels, num_classes=10))


@pytest.mark.parametrize("solver", ["lsqr", "eigen"])
@pytest.mark.parametrize("shrinkage", [0.01, 0.05, 0.5, 1.0])
def test_with_equal_counts_predictions_are_those_of_scikit_learn_with_equal_priors(solver, shrinkage):
    inputs, labels = draw((40,) * CLASSES)
    lda = LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage, priors=[1 / CLASSES] * CLASSES)
    lda.fit(features_of(build(), inputs), labels.numpy())
    ours, others = refitted(inputs, labels, shrinkage=shrinkage), draw((100,) * CLASSES, seed=1)[0]
    expected = lda.predict(features_of(build(), others))
    np.testing.assert_array_equal(predict(ours, others), expected)
    assert len(set(expected.tolist())) == CLASSES


@pytest.mark.parametrize("shrinkage", [0.05, 0.5])
def test_the_layer_is_that_of_scikit_learn_without_its_priors_and_scaled_to_the_old_norm(shrinkage):
    (inputs, labels), model = draw(UNEQUAL), build()
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    lda.fit(features_of(model, inputs), labels.numpy())
    scale = np.linalg.norm(model.last.weight.detach().numpy()) / np.linalg.norm(lda.coef_)
    ours = refitted(inputs, labels, shrinkage=shrinkage)
    np.testing.assert_allclose(ours.last.weight.detach().numpy(), lda.coef_ * scale, rtol=1e-8)
    bias = lda.intercept_ - np.log(lda.priors_)
    np.testing.assert_allclose(ours.last.bias.detach().numpy(), bias * scale, rtol=1e-8)


def test_nothing_but_the_last_layer_changes_and_its_norm_is_kept():
    before, after = build(), refitted(*draw(UNEQUAL))
    assert torch.equal(after.first.weight, before.first.weight)
    assert torch.equal(after.first.bias, before.first.bias)
    torch.testing.assert_close(after.last.weight.norm(), before.last.weight.norm(), rtol=1e-12, atol=0)
    assert not torch.allclose(after.last.weight, before.last.weight)


@pytest.mark.parametrize("absent", [(0,), (2,), (0, 1, 3)])
def test_a_class_without_samples_is_never_the_likeliest(absent):
    ours = refitted(*draw([0 if number in absent else 40 for number in range(CLASSES)]))
    # Samples far from all that were seen, too.
    anywhere = torch.randn(2000, INPUTS, generator=torch.Generator().manual_seed(2)).double() * 10
    assert not set(predict(ours, anywhere).tolist()) & set(absent)


def test_features_that_do_not_vary_leave_the_nearest_mean():
    model = build()
    inputs, labels = draw((1,) * CLASSES)
    refit_head(model, sum_up(model, inputs, labels, num_classes=CLASSES))
    assert bool(torch.isfinite(predict_logits(model, inputs)).all())
    features = features_of(model, draw((30,) * CLASSES, seed=1)[0])
    means = features_of(model, inputs)[np.argsort(labels.numpy())]
    nearest = np.linalg.norm(features[:, None] - means, axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(predict(model, draw((30,) * CLASSES, seed=1)[0]), nearest)


def test_features_that_are_all_zero_leave_a_finite_layer():
    model = build()
    with torch.no_grad():
        model.first.weight.zero_()
        model.first.bias.zero_()
    refit_head(model, sum_up(model, *draw(UNEQUAL), num_classes=CLASSES))
    assert all(bool(torch.isfinite(value).all()) for value in model.parameters())


@pytest.mark.parametrize("arch", models.ARCHITECTURES)
def test_every_architecture_ends_in_such_a_layer(arch):
    model = models.build(arch, input_shape=(3, 32, 32), num_classes=7, seed=0)
    head = find_head(model, 7)
    seen = []
    head.register_forward_hook(lambda *parts: seen.append(parts[-1]))
    said = predict_logits(model, torch.zeros(2, 3, 32, 32))
    assert torch.equal(said, seen[0])


@pytest.mark.parametrize(
    "model",
    [nn.Linear(3, 4), nn.Linear(3, 5, bias=False), nn.Conv2d(3, 5, 1)],
    ids=["other outputs", "no bias", "convolution"],
)
def test_a_model_without_such_a_layer_is_refused(model):
    with pytest.raises(
        InputError, match=r"one output per class and a bias.*none with 5 outputs.*Use the start"
    ):
        find_head(model, 5)


def test_statistics_of_no_sample_are_refused():
    model, (inputs, labels) = build(), draw(UNEQUAL)
    with pytest.raises(InputError, match="`there is a sample` must hold, but got none"):
        refit_head(model, sum_up(model, inputs[:0], labels[:0], num_classes=CLASSES))


def test_statistics_go_into_a_message_and_back_by_name():
    ours = sum_up(build(), *draw(UNEQUAL), num_classes=CLASSES)
    assert_equal_statistics(ClassStatistics(**ours.to_state()), ours)
