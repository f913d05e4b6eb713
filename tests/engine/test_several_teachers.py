"""Several teachers: what each way of combining them amounts to."""

import copy

import pytest
import torch
import torch.nn.functional as F

from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.engine import Case, Hooks, Training, apply_technique, pretrain
from limbeck.models import weighted_average
from limbeck.techniques import TECHNIQUES, get_technique

TRAINING = Training(epochs=2, batch_size=32, lr=0.02)


@pytest.fixture(scope="module")
def three(digits):
    """A student and two teachers that know different halves of the classes."""
    from limbeck import models

    inputs, labels = digits
    made = [models.build("mlp", input_shape=(1, 8, 8), num_classes=10, seed=seed) for seed in range(3)]
    for model, kept in zip(made, (labels < 10, labels < 5, labels >= 5), strict=True):
        pretrain(model, inputs[kept], labels[kept], training=Training(epochs=4, batch_size=32), seed=0)
    return made


def make_case(digits, three, **changes):
    inputs, labels = digits
    student, *teachers = three
    return Case(**{"student": student, "teachers": teachers, "inputs": inputs, "labels": labels, **changes})


def run(case, name, **more):
    technique = get_technique(name)
    return apply_technique(
        case, technique=technique, settings=technique.defaults, training=TRAINING, seed=0, **more
    )


@pytest.mark.parametrize("name", [name for name in TECHNIQUES if name != "bi-kd"])
def test_every_technique_but_the_two_way_one_takes_two_teachers(digits, three, name):
    case = make_case(digits, three)
    student = run(case, name).student
    assert hash_state(student.state_dict()) != hash_state(case.student.state_dict())


@pytest.mark.parametrize(
    "name", ["kd", "kd-mean-logits", "kd-confidence", "kd-coverage", "dp-kd", "dp-kd-soup"]
)
def test_twice_the_same_teacher_is_one_teacher(digits, three, name):
    _student, teacher, _ = three
    once = run(make_case(digits, three, teachers=[teacher]), name).student
    twice = run(make_case(digits, three, teachers=[teacher, copy.deepcopy(teacher)]), name).student
    for ours, theirs in zip(once.parameters(), twice.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_sequence_is_one_transfer_after_another(digits, three):
    case = make_case(digits, three)
    first = run(make_case(digits, three, teachers=[three[1]]), "dp-kd").student
    second = run(make_case(digits, three, student=first, teachers=[three[2]]), "dp-kd")
    both = run(case, "dp-kd-sequential")
    assert hash_state(both.student.state_dict()) == hash_state(second.student.state_dict())
    assert both.trained.steps == 2 * second.trained.steps


def test_a_soup_is_the_mean_of_one_student_per_teacher(digits, three):
    students = [run(make_case(digits, three, teachers=[teacher]), "dp-kd").student for teacher in three[1:]]
    expected = weighted_average([student.state_dict() for student in students], [1, 1])
    soup = run(make_case(digits, three), "dp-kd-soup").student
    assert hash_state(soup.state_dict()) == hash_state(expected)


def test_only_the_soup_itself_is_shown_after_an_epoch(digits, three):
    seen = []
    soup = run(
        make_case(digits, three),
        "dp-kd-soup",
        hooks=Hooks(after_epoch=lambda models: seen.append(hash_state(models[0].state_dict()))),
    )
    assert seen == [hash_state(soup.student.state_dict())]


def test_what_a_teacher_knows_is_found_out_from_the_labels(digits, three):
    known = make_case(digits, three).known_classes
    assert known[0].tolist() == [True] * 5 + [False] * 5
    assert known[1].tolist() == [False] * 5 + [True] * 5


def test_what_a_teacher_was_taught_is_taken_from_the_case(digits, three):
    known = make_case(digits, three, taught_classes=[[0, 1], [9]]).known_classes
    assert known.nonzero().tolist() == [[0, 0], [0, 1], [1, 9]]


def test_coverage_makes_the_target_right_where_only_one_teacher_knows_the_class(digits, three):
    _inputs, labels = digits
    case = make_case(digits, three)
    technique = get_technique("kd-coverage")
    target = technique.target_fn(case, technique.defaults).logits
    plain = get_technique("kd").target_fn(case, technique.defaults).logits
    assert F.cross_entropy(target, labels) < F.cross_entropy(plain, labels)


def test_teachers_with_other_classes_speak_in_the_students(digits, three):
    _inputs, _labels = digits
    _student, teacher, _ = three
    reordered = torch.nn.Sequential(copy.deepcopy(teacher), Columns(list(range(9, -1, -1))))
    columns = tuple(range(9, -1, -1))
    case = make_case(digits, three, teachers=[reordered], columns=[columns])
    plain = make_case(digits, three, teachers=[teacher])
    torch.testing.assert_close(case.teacher_logits, plain.teacher_logits, rtol=0, atol=0)
    ours, theirs = (run(one, "kd").student for one in (case, plain))
    assert hash_state(ours.state_dict()) == hash_state(theirs.state_dict())


def test_about_a_class_the_teacher_lacks_the_student_keeps_its_opinion(digits, three):
    _student, teacher, _ = three
    five = torch.nn.Sequential(copy.deepcopy(teacher), Columns([0, 1, 2, 3, 4]))
    columns = (0, 1, 2, 3, 4, None, None, None, None, None)
    case = make_case(digits, three, teachers=[five], columns=[columns], labels=None)
    target = case.teacher_logits[0].softmax(1)
    before = case.initial_logits.softmax(1)
    torch.testing.assert_close(target[:, 5:], before[:, 5:])
    torch.testing.assert_close(target[:, :5].sum(1), before[:, :5].sum(1))
    said = five(case.inputs).softmax(1)
    torch.testing.assert_close(target[:, :5] / target[:, :5].sum(1, keepdim=True), said)
    assert case.known_classes[0, 5:].tolist() == [False] * 5


@pytest.mark.parametrize("name", ["dml", "bi-kd"])
def test_mutual_learning_wants_the_same_classes(digits, three, name):
    case = make_case(digits, three, teachers=[three[1]], columns=[(1, 0, *range(2, 10))])
    with pytest.raises(InputError, match="same classes in one order"):
        run(case, name)


def test_a_teacher_without_a_common_class_is_refused(digits, three):
    with pytest.raises(InputError, match="share a class"):
        make_case(digits, three, columns=[tuple(range(10)), (None,) * 10])


class Columns(torch.nn.Module):
    """Some columns of what comes in."""

    def __init__(self, ids):
        super().__init__()
        self.ids = ids

    def forward(self, logits):
        return logits[:, self.ids]
