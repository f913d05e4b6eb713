"""What a comparison counts, against a second count made sample by sample."""

import numpy as np
import pytest
import torch
from torch import nn

import limbeck
from limbeck import data, models
from limbeck.core.errors import InputError


@pytest.fixture(scope="module")
def comparison(student, teacher, digits):
    return limbeck.compare(student, teacher, digits, names=("ours", "theirs"))


def count_by_hand(student, teacher, samples):
    counts = {"both_right": 0, "both_wrong": 0, "positive_flips": 0, "negative_flips": 0, "agree": 0}
    for image, label in zip(samples.inputs, samples.labels, strict=True):
        with torch.no_grad():
            ours, theirs = (int(model(image[None]).argmax()) for model in (student, teacher))
        right = (ours == label, theirs == label)
        key = {
            (True, True): "both_right",
            (False, False): "both_wrong",
            (False, True): "positive_flips",
            (True, False): "negative_flips",
        }[tuple(map(bool, right))]
        counts[key] += 1
        counts["agree"] += ours == theirs
    return counts


def test_the_counts_are_those_made_sample_by_sample(comparison, student, teacher, digits):
    expected = count_by_hand(student, teacher, digits.test)
    assert comparison.agreement == pytest.approx(expected.pop("agree") / len(digits.test))
    assert {name: getattr(comparison, name) for name in expected} == expected
    assert comparison.num_samples == len(digits.test) == sum(expected.values())


def test_accuracies_and_flips_agree(comparison):
    difference = comparison.second.accuracy - comparison.first.accuracy
    flips = comparison.positive_flips - comparison.negative_flips
    assert difference == pytest.approx(flips / comparison.num_samples)
    assert comparison.complementary_share == comparison.positive_flips / comparison.num_samples
    assert sum(comparison.class_positive_flips) == comparison.positive_flips
    assert sum(comparison.class_negative_flips) == comparison.negative_flips
    assert sum(comparison.class_samples) == comparison.num_samples


def test_it_finds_the_classes_only_one_of_them_learned(comparison):
    knows = [value > 0.5 for value in comparison.first.class_accuracy]
    assert knows == [True] * 7 + [False] * 3
    assert all(flips > 20 for flips in comparison.class_positive_flips[7:])
    assert all(flips > 20 for flips in comparison.class_negative_flips[:3])


def test_the_other_way_round_is_the_mirror_image(comparison, student, teacher, digits):
    mirrored = limbeck.compare(teacher, student, digits)
    assert mirrored.positive_flips == comparison.negative_flips
    assert mirrored.class_positive_flips == comparison.class_negative_flips
    assert mirrored.first.accuracy == comparison.second.accuracy


def test_a_model_compared_with_itself_differs_nowhere(student, digits):
    itself = limbeck.compare(student, student, digits)
    assert itself.agreement == 1
    assert itself.positive_flips == itself.negative_flips == 0


def test_models_stay_what_they_were(student, teacher, digits):
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    student.train()
    limbeck.compare(student, teacher, digits)
    assert student.training
    student.eval()
    assert all(torch.equal(tensor, before[name]) for name, tensor in student.state_dict().items())


def with_names(classifier, names):
    return models.adapt(classifier, class_names=names)


def test_classes_are_matched_by_name_and_not_by_place(student, teacher, digits):
    order = list(range(9, -1, -1))
    reordered = nn.Sequential(teacher, Columns(order))
    named = with_names(reordered, tuple(str(index) for index in order))
    plain, matched = (limbeck.compare(student, model, digits) for model in (teacher, named))
    assert matched.second.accuracy == plain.second.accuracy
    assert matched.positive_flips == plain.positive_flips


def test_a_map_renames_classes(student, teacher, digits):
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    named = with_names(nn.Sequential(teacher), words)
    class_map = {word: str(number) for number, word in enumerate(words)}
    plain = limbeck.compare(student, teacher, digits)
    mapped = limbeck.compare(student, named, digits, class_map=class_map)
    assert mapped.second.accuracy == plain.second.accuracy


def test_samples_of_a_class_that_a_model_lacks_count_as_wrong_and_are_named(student, teacher, digits):
    four = with_names(nn.Sequential(teacher, Columns([3, 4, 5, 6])), ("3", "4", "5", "6"))
    comparison = limbeck.compare(student, four, digits)
    lacking = sum(comparison.class_samples[index] for index in (0, 1, 2, 7, 8, 9))
    assert comparison.second.class_accuracy[0] == 0
    assert any(
        sentence.startswith("B has no class 0, 1, 2, 7, 8 and 1 more") and str(lacking) in sentence
        for sentence in comparison.warnings
    )


def test_names_that_do_not_fit_the_logits_are_refused(student, teacher, digits):
    five = nn.Sequential(teacher, Columns([0, 1, 2, 3, 4]))
    with pytest.raises(InputError, match="B has one name per class"):
        limbeck.compare(student, five, digits)


def test_two_classes_of_one_name_are_refused(student, teacher, digits):
    with pytest.raises(InputError, match="name of its own"):
        limbeck.compare(student, teacher, digits, class_map={"1": "0"})


def test_a_model_near_chance_gets_a_hint(student, digits):
    blank = models.build("mlp", input_shape=(1, 8, 8), num_classes=10, seed=3)
    comparison = limbeck.compare(student, blank, digits)
    assert any(
        "B is right on" in w and "near chance" in w and "--normalize" in w for w in comparison.warnings
    )


def test_probabilities_instead_of_logits_are_noticed(student, teacher, digits):
    comparison = limbeck.compare(student, nn.Sequential(teacher, nn.Softmax(dim=1)), digits)
    assert any("B seems to return probabilities" in sentence for sentence in comparison.warnings)
    assert limbeck.compare(student, teacher, digits).warnings == ()


def test_a_model_that_does_not_take_the_images_is_named(student, digits):
    colour = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 10))
    with pytest.raises(InputError, match=r"B must take the samples, but it refuses inputs \(64, 1, 8, 8\)"):
        limbeck.compare(student, colour, digits)


def test_weights_that_are_not_finite_are_noticed(student, digits, make_model):
    broken = make_model(range(10), epochs=0)
    with torch.no_grad():
        broken.module[-1].bias[0] = float("nan")
    with pytest.raises(InputError, match="logits are finite"):
        limbeck.compare(student, broken, digits)


def test_samples_without_class_names_are_numbered(student, teacher, digits):
    comparison = limbeck.compare(student, teacher, digits.test)
    assert comparison.class_names == tuple(str(index) for index in range(10))


def test_each_model_keeps_its_own_normalization_and_size(digits, student, teacher):
    bigger = models.adapt(
        nn.Sequential(nn.AvgPool2d(2), teacher.module),
        normalize=teacher.preprocessing.normalization,
        input_size=16,
    )
    small, large = (limbeck.compare(student, model, digits.test) for model in (teacher, bigger))
    assert large.second.accuracy == pytest.approx(small.second.accuracy, abs=0.1)


def test_float_inputs_are_taken_as_they_are(digits, normalization, student, teacher):
    floats = data.Samples(inputs=data.normalize(digits.test.inputs, normalization), labels=digits.test.labels)
    raw = limbeck.compare(student, teacher, digits.test)
    plain = limbeck.compare(student.module, teacher.module, floats)
    assert plain.first.accuracy == raw.first.accuracy
    assert plain.positive_flips == raw.positive_flips


def test_the_record_turns_into_json(comparison):
    import json

    content = json.loads(json.dumps(comparison.to_dict()))
    assert content["first"]["name"] == "ours"
    assert np.isclose(content["first"]["accuracy"], comparison.first.accuracy)


class Columns(nn.Module):
    """Some columns of what comes in."""

    def __init__(self, ids):
        super().__init__()
        self.ids = ids

    def forward(self, logits):
        return logits[:, self.ids]
