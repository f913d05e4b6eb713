"""The usual loop trains what limbeck trains: whole batches, where the order of samples does not matter."""

import copy
import io

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import usual_loop
from limbeck import data, models
from limbeck.engine import Case, Training, accuracy, apply_technique, predict
from limbeck.engine.training import batches
from limbeck.techniques import Settings, get_technique

NUM_SAMPLES, NUM_CLASSES, EPOCHS, LR = 60, 3, 4, 0.05
MEAN, STD = usual_loop.FASHION_MEAN, usual_loop.FASHION_STD


@pytest.fixture(scope="module")
def images():
    """Grey images [60, 16, 16], brighter the higher the class of their number modulo 3."""
    noise = np.random.default_rng(0).integers(0, 60, (NUM_SAMPLES, 16, 16))
    return (noise + 90 * (np.arange(NUM_SAMPLES) % NUM_CLASSES)[:, None, None]).astype(np.uint8)


@pytest.fixture(scope="module")
def labels():
    return torch.arange(NUM_SAMPLES) % NUM_CLASSES


@pytest.fixture(scope="module")
def inputs(images):
    return data.normalize(torch.from_numpy(images)[:, None], data.Normalization(mean=MEAN, std=STD))


def build(seed):
    return models.build("cnn", input_shape=(1, 16, 16), num_classes=NUM_CLASSES, seed=seed)


def as_set(images, labels, *, augments=False):
    transform = usual_loop.make_transform(MEAN, STD, size=16, augments=augments)
    return usual_loop.GrayDataset(images, labels.tolist(), transform)


def recipe(**changes):
    settings = {"temperature": 4, "weight": 0.7, "epochs": EPOCHS, "batch_size": NUM_SAMPLES, "lr": LR}
    return usual_loop.Recipe(**{**settings, **changes})


def assert_equal_weights(one, other):
    for (name, value), expected in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("num_teachers", [1, 3])
def test_its_student_is_limbecks_student(images, labels, inputs, num_teachers):
    teachers = [build(seed) for seed in range(1, num_teachers + 1)]
    student = build(0)
    case = Case(student=student, teachers=teachers, inputs=inputs, labels=labels)
    training = Training(epochs=EPOCHS, batch_size=NUM_SAMPLES, lr=LR)
    settings = Settings(temperature=4, weight=0.7)
    ours = apply_technique(
        case, technique=get_technique("kd"), settings=settings, training=training, seed=0
    ).student
    samples = as_set(images, labels)
    theirs = copy.deepcopy(student)
    accuracies = usual_loop.distil(theirs, teachers, samples, samples, recipe())
    assert_equal_weights(theirs, ours)
    assert len(accuracies) == EPOCHS
    assert accuracies[-1] == accuracy(predict(ours, inputs), labels.numpy())


def test_its_models_learn_mutually_what_limbecks_do(labels, inputs):
    given = [build(seed) for seed in range(3)]
    case = Case(student=given[0], teachers=given[1:], inputs=inputs, labels=labels)
    training = Training(epochs=1, batch_size=16, lr=LR)
    ours = apply_technique(case, technique=get_technique("dml"), settings=None, training=training, seed=0)
    same_order = [(inputs[ids], labels[ids]) for ids in batches(NUM_SAMPLES, 16, epoch=0, seed=0)]
    usual_loop.learn_mutually(given, same_order, recipe(epochs=1))
    for theirs, expected in zip(given, (ours.student, *ours.peers), strict=True):
        assert_equal_weights(theirs, expected)


def test_it_really_learns(images, labels):
    samples = as_set(images, labels)
    settings = recipe(weight=0, epochs=15, batch_size=12)
    accuracies = usual_loop.distil(build(0), [build(1)], samples, samples, settings)
    assert accuracies[-1] > 0.9


def test_a_teacher_is_asked_in_evaluation_and_stays_as_it_is(images, labels):
    teacher = models.build("resnet8", input_shape=(1, 16, 16), num_classes=NUM_CLASSES, seed=1)
    before = copy.deepcopy(teacher.state_dict())
    usual_loop.distil(build(0), [teacher], as_set(images, labels), None, recipe(epochs=1))
    assert not teacher.training
    for name, value in teacher.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_its_images_are_limbecks_images(images, labels, inputs):
    samples = as_set(images, labels)
    torch.testing.assert_close(torch.stack([samples[place][0] for place in range(5)]), inputs[:5])


def test_crops_and_flips_change_an_image_and_not_its_shape(images, labels):
    torch.manual_seed(0)
    samples = as_set(images, labels, augments=True)
    one, other = samples[0][0], samples[0][0]
    assert one.shape == other.shape == (1, 16, 16)
    assert not torch.equal(one, other)


def test_a_jpeg_is_decoded_to_its_pixels():
    content = io.BytesIO()
    Image.new("RGB", (32, 32), (255, 0, 0)).save(content, format="JPEG", quality=95)
    transform = usual_loop.make_transform((0, 0, 0), (1, 1, 1), size=32, augments=False)
    image, label = usual_loop.JpegDataset([content.getvalue()], [7], transform)[0]
    assert label == 7
    torch.testing.assert_close(image[:, 16, 16], torch.tensor([1.0, 0, 0]), rtol=0, atol=0.02)


def test_batches_of_tensors_hold_every_sample_once_an_epoch():
    torch.manual_seed(0)
    loader = usual_loop.TensorBatches(images=torch.arange(10.0), labels=torch.arange(10), batch_size=4)
    epoch = list(loader)
    assert [len(labels) for _, labels in epoch] == [4, 4, 2]
    assert len(loader) == 3
    assert torch.cat([labels for _, labels in epoch]).sort().values.tolist() == list(range(10))
    assert all(torch.equal(images.long(), labels) for images, labels in epoch)


def test_the_faster_of_two_runs_counts_for_each_number_of_workers():
    asked = []
    seconds = usual_loop.time_workers(asked.append)
    assert asked == [0, 2, 0, 2]
    assert seconds.keys() == {0, 2}
