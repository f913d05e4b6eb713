"""The contract every technique keeps, and what is particular to each."""

import copy
import json
import subprocess
import sys

import pytest
import torch

from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.engine import Case, Training, apply_technique, pretrain
from limbeck.techniques import TECHNIQUES, Settings, get_technique, make_settings

TRAINING = Training(epochs=2, batch_size=32, lr=0.02)
every_technique = pytest.mark.parametrize("name", TECHNIQUES)


def run(case, name, *, settings=None, seed=0):
    technique = get_technique(name)
    return apply_technique(
        case, technique=technique, settings=settings or technique.defaults, training=TRAINING, seed=seed
    )


@every_technique
def test_a_transfer_changes_a_copy_and_no_model_it_was_given(case, name):
    before = [copy.deepcopy(model.state_dict()) for model in (case.student, *case.teachers)]
    outcome = run(case, name)
    for model, state in zip((case.student, *case.teachers), before, strict=True):
        assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())
    assert hash_state(outcome.student.state_dict()) != hash_state(before[0])
    assert not outcome.student.training


@every_technique
def test_the_same_seed_gives_the_same_student_and_another_seed_another(case, name):
    first, again, other = (run(case, name, seed=seed).student.state_dict() for seed in (0, 0, 1))
    assert hash_state(first) == hash_state(again)
    assert hash_state(first) != hash_state(other)


FRESH = """
import json, torch
torch.set_num_threads(1)
from limbeck import data, models
from limbeck.core.fingerprint import hash_state
from limbeck.engine import Case, Training, apply_technique
from limbeck.techniques import TECHNIQUES
digits = data.load("digits")
inputs = data.normalize(digits.train.inputs, data.measure_normalization(digits.train))[:300]
student, teacher = (models.build("cnn", input_shape=(1, 8, 8), num_classes=10, seed=s) for s in (0, 1))
case = Case(student=student, teachers=[teacher], inputs=inputs, labels=digits.train.labels[:300])
training = Training(epochs=2, batch_size=32, lr=0.02)
students = {
    t.name: apply_technique(case, technique=t, settings=t.defaults, training=training, seed=0).student
    for t in TECHNIQUES.values()
}
print(json.dumps({name: hash_state(student.state_dict()) for name, student in students.items()}))
"""


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_students_bit_for_bit(case):
    output = subprocess.run(
        [sys.executable, "-c", FRESH], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    here = {name: hash_state(run(case, name).student.state_dict()) for name in TECHNIQUES}
    assert json.loads(output) == here


@every_technique
def test_a_transfer_set_without_some_classes_gives_finite_weights(digits, make_model, name):
    inputs, labels = digits
    kept = labels < 3
    case = Case(
        student=make_model("cnn", 0),
        teachers=[make_model("mlp", 1)],
        inputs=inputs[kept],
        labels=labels[kept],
    )
    student = run(case, name).student
    assert all(torch.isfinite(parameter).all() for parameter in student.parameters())


@every_technique
def test_forward_passes_beyond_training_are_as_many_as_declared(case, name):
    counts = {"student": 0, "teacher": 0}

    def count(key):
        return lambda module, args, output: counts.__setitem__(key, counts[key] + len(output))

    case.student.register_forward_hook(count("student"))
    case.teachers[0].register_forward_hook(count("teacher"))
    run(case, name)
    trained, once = TRAINING.epochs * len(case.inputs), len(case.inputs)
    expected = {
        "finetune": (trained, 0),
        "self-kd": (trained + once, 0),
        "dml": (trained, trained),
        "bi-kd": (trained, trained),
        "dp-kd": (trained + once, once),
        "dp-kd-unsupervised": (trained + once, once),
        "dp-kd-sequential": (trained + once, once),
        "dp-kd-soup": (trained + once, once),
    }
    assert (counts["student"], counts["teacher"]) == expected.get(name, (trained, once))


@every_technique
def test_every_technique_says_where_it_comes_from_and_what_it_costs(name):
    technique = get_technique(name)
    assert technique.name == name
    assert all((technique.title, technique.reference, technique.deviations, technique.cost))


def test_kd_without_weight_on_the_teacher_is_finetuning(case):
    kd = run(case, "kd", settings=Settings(temperature=4, weight=0)).student
    assert hash_state(kd.state_dict()) == hash_state(run(case, "finetune").student.state_dict())


def test_kd_from_an_equal_teacher_alone_moves_nothing(digits, make_model):
    inputs, labels = digits
    model = make_model()
    pretrain(model, inputs, labels, training=TRAINING, seed=0)
    case = Case(student=model, teachers=[copy.deepcopy(model)], inputs=inputs, labels=labels)
    student = run(case, "kd", settings=Settings(temperature=2, weight=1)).student
    for ours, theirs in zip(student.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_dp_kd_selects_as_the_losses_say(digits, make_model):
    inputs, labels = digits
    student, teacher = make_model(seed=0), make_model(seed=1)
    pretrain(teacher, inputs, labels, training=TRAINING, seed=0)
    case = Case(student=student, teachers=[teacher], inputs=inputs, labels=labels)
    share = run(case, "dp-kd").share_from_teacher
    p_t, p_0 = (
        logits.softmax(1)[torch.arange(300), labels]
        for logits in (case.teacher_logits[0], case.initial_logits)
    )
    assert share == pytest.approx((p_t > p_0).float().mean().item())
    assert 0.5 < share <= 1


def test_mutual_learning_teaches_every_peer(digits, make_model):
    inputs, labels = digits
    peers = [make_model("cnn", 1), make_model("mlp", 2)]
    case = Case(student=make_model("mlp", 0), teachers=peers, inputs=inputs, labels=labels)
    outcome = run(case, "dml")
    assert len(outcome.peers) == 2
    for before, after in zip(peers, outcome.peers, strict=True):
        assert hash_state(before.state_dict()) != hash_state(after.state_dict())


@pytest.mark.parametrize("name", [t.name for t in TECHNIQUES.values() if t.needs_labels])
def test_techniques_that_need_labels_say_so(case, name):
    unlabelled = Case(student=case.student, teachers=case.teachers, inputs=case.inputs, labels=None)
    with pytest.raises(InputError, match="labels"):
        run(unlabelled, name)


LABEL_FREE = [t.name for t in TECHNIQUES.values() if not t.needs_labels]


@pytest.mark.parametrize("name", [name for name in LABEL_FREE if name != "kd-coverage"])
def test_label_free_techniques_work_on_an_unlabelled_set_with_weight_one(case, name):
    unlabelled = Case(student=case.student, teachers=case.teachers, inputs=case.inputs, labels=None)
    settings = make_settings(get_technique(name), {"weight": 1})
    labelled_student = run(case, name, settings=settings).student
    student = run(unlabelled, name, settings=settings).student
    assert hash_state(student.state_dict()) == hash_state(labelled_student.state_dict())


def test_settings_for_a_technique_without_any_are_refused(case):
    with pytest.raises(InputError, match="has no settings"):
        apply_technique(
            case,
            technique=get_technique("finetune"),
            settings=Settings(temperature=1, weight=0.5),
            training=TRAINING,
            seed=0,
        )


def test_what_needs_no_labels_is_what_a_proxy_set_can_serve():
    expected = "kd kd-standardized kd-mean-logits kd-coverage dist self-kd dp-kd-unsupervised"
    assert expected.split() == LABEL_FREE


@every_technique
def test_the_search_space_holds_settings_that_can_be_built(name):
    technique = get_technique(name)
    for setting, values in technique.search_space.items():
        for value in values:
            assert getattr(make_settings(technique, {setting: value}), setting) == value


@pytest.mark.parametrize(
    ("name", "changes", "rule"),
    [
        ("kd", {"temperatur": 2}, "Did you mean `temperature`"),
        ("kd", {"beta": 2}, "Unknown setting of `kd`"),
        ("dkd", {"beta": -1}, "beta >= 0"),
        ("dist", {"gamma": float("inf")}, "gamma >= 0"),
        ("nkd", {"temperature": 0}, "temperature > 0"),
        ("dml", {"weight": 1}, "has no settings"),
    ],
)
def test_settings_that_do_not_fit_a_technique_are_refused(name, changes, rule):
    with pytest.raises(InputError, match=rule):
        make_settings(get_technique(name), changes)


def test_settings_of_another_technique_are_refused(case):
    with pytest.raises(InputError, match="`dkd` takes DkdSettings"):
        run(case, "dkd", settings=Settings(temperature=1, weight=0.5))


@pytest.mark.parametrize("name", [t.name for t in TECHNIQUES.values() if t.min_teachers])
def test_techniques_that_need_a_teacher_say_so(case, name):
    alone = Case(student=case.student, teachers=[], inputs=case.inputs, labels=case.labels)
    with pytest.raises(InputError, match="teacher or more"):
        run(alone, name)


def test_two_way_distillation_takes_one_peer(case, make_model):
    crowd = Case(
        student=case.student,
        teachers=[*case.teachers, make_model()],
        inputs=case.inputs,
        labels=case.labels,
    )
    with pytest.raises(InputError, match="at most 1 teacher"):
        run(crowd, "bi-kd")


def test_a_last_batch_of_one_sample_costs_dist_nothing(case):
    odd = Case(student=case.student, teachers=case.teachers, inputs=case.inputs[:33], labels=case.labels[:33])
    student = run(odd, "dist").student
    assert all(torch.isfinite(parameter).all() for parameter in student.parameters())
