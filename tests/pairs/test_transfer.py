"""A transfer as a user asks for it: what it promises about the student and about its numbers."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

import limbeck
from limbeck import data, models
from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.engine import predict
from limbeck.techniques import TECHNIQUES


def transfer(student, teachers, samples, **options):
    return limbeck.transfer(student, teachers, samples, **{"epochs": 2, "progress": False, **options})


@pytest.fixture(scope="module")
def outcome(student, teacher, digits):
    return transfer(student, teacher, digits, technique="dp-kd", epochs=4)


def test_the_numbers_are_those_of_the_students_on_the_test_part(outcome, student, digits):
    labels = digits.test.labels.numpy()
    before, after = (predict(model, digits.test.inputs) for model in (student, outcome.student))
    change = outcome.record.attempt.change
    assert change.accuracy_before == np.mean(before == labels)
    assert change.accuracy_after == np.mean(after == labels)
    assert change.positive_flips == np.sum((after == labels) & (before != labels))
    assert change.negative_flips == np.sum((after != labels) & (before == labels))
    assert outcome.record.gain == pytest.approx(change.accuracy_after - change.accuracy_before)
    assert outcome.record.measured_on == "test"
    assert outcome.record.gain > 0.1


def test_forgetting_is_told_per_class(outcome):
    change = outcome.record.attempt.change
    for lost, before, after in zip(
        outcome.record.attempt.class_forgetting,
        change.class_accuracy_before,
        change.class_accuracy_after,
        strict=True,
    ):
        assert lost == pytest.approx(max(0, before - after))


def test_training_and_validation_samples_are_apart_and_the_test_part_is_neither(outcome, digits):
    record = outcome.record
    assert record.num_train + record.num_validation == len(digits.train)
    assert record.num_validation == round(0.1 * len(digits.train))
    assert record.num_measured == len(digits.test)


def test_finetune_runs_beside_it_under_the_same_rules(outcome, student, digits):
    baseline = outcome.record.baseline
    alone = transfer(student, [], digits, technique="finetune", epochs=4).record
    assert baseline.technique == "finetune"
    assert baseline.change == alone.attempt.change
    assert baseline.validation == alone.attempt.validation
    assert alone.baseline is None


def test_the_baseline_can_be_left_out(student, teacher, digits):
    assert transfer(student, teacher, digits, epochs=0, baseline=False).record.baseline is None


def test_the_best_epoch_is_kept_and_no_worse_than_the_start(student, teacher, digits):
    record = transfer(student, teacher, digits, technique="kd", weight=1, temperature=1, epochs=4).record
    scores = record.attempt.validation
    assert len(scores) == 5
    assert record.attempt.kept_epoch == int(np.argmax(scores))
    assert scores[record.attempt.kept_epoch] >= scores[0]


@pytest.fixture(scope="module")
def liar(teacher):
    """A teacher that is always wrong and always sure."""
    return nn.Sequential(copy.deepcopy(teacher), Shift())


def test_a_harmful_teacher_leaves_the_student_as_it_came(student, liar, digits):
    result = transfer(student, liar, digits, technique="kd", weight=1, temperature=1)
    assert result.record.attempt.kept_epoch == 0
    assert hash_state(result.student.state_dict()) == hash_state(student.state_dict())
    assert result.record.gain == 0
    assert any("returned as it came" in sentence for sentence in result.record.warnings)


def test_keep_last_returns_what_came_of_it(student, liar, digits):
    result = transfer(student, liar, digits, technique="kd", weight=1, temperature=1, keep="last")
    assert result.record.attempt.kept_epoch == 2
    assert result.record.gain < -0.3


def test_a_diverging_training_keeps_the_last_good_state_and_says_what_to_lower(student, teacher, digits):
    for keep in ("best", "last"):
        result = transfer(student, teacher, digits, lr=1e9, keep=keep)
        assert result.record.attempt.diverged_in_epoch == 1
        assert hash_state(result.student.state_dict()) == hash_state(student.state_dict())
        for name in ("kd", "finetune"):
            expected = (
                f"`{name}` diverged in epoch 1: the student of epoch 0 was kept. Lower `lr` (it is 1e+09)."
            )
            assert expected in result.record.warnings


def test_a_loss_that_explodes_without_overflowing_counts_as_diverged(student, teacher, digits):
    record = transfer(student, teacher, digits, technique="finetune", lr=1e3, keep="last").record
    assert record.attempt.diverged_in_epoch == 1
    assert record.attempt.kept_epoch == 0
    assert record.gain == 0


def test_the_same_call_gives_the_same_student(student, teacher, digits):
    first, again, other = (
        transfer(student, teacher, digits, seed=seed, keep="last", baseline=False).student
        for seed in (0, 0, 1)
    )
    assert hash_state(first.state_dict()) == hash_state(again.state_dict())
    assert hash_state(first.state_dict()) != hash_state(other.state_dict())


def test_the_models_given_stay_what_they_were(student, teacher, digits):
    before = [hash_state(model.state_dict()) for model in (student, teacher)]
    for technique in ("kd", "dml"):
        transfer(student, teacher, digits, technique=technique, epochs=1)
    assert [hash_state(model.state_dict()) for model in (student, teacher)] == before


def test_a_plain_module_comes_back_as_a_plain_module(student, teacher, digits, normalization):
    samples = data.Samples(
        inputs=data.normalize(digits.train.inputs, normalization), labels=digits.train.labels
    )
    result = transfer(student.module, teacher.module, samples, technique="dp-kd")
    assert type(result.student) is type(student.module)
    assert result.student(samples.inputs[:2]).shape == (2, 10)
    assert result.record.measured_on == "validation"


def test_a_classifier_comes_back_with_its_own_view_of_inputs(outcome, student):
    assert outcome.student.preprocessing == student.preprocessing
    assert not outcome.student.training


@pytest.mark.parametrize("technique", [t.name for t in TECHNIQUES.values() if not t.needs_labels])
def test_label_free_techniques_learn_from_an_unlabelled_proxy_set(student, teacher, digits, technique):
    record = transfer(student, teacher, digits, technique=technique, transfer_set=digits.test.inputs).record
    assert record.attempt.settings["weight"] == 1
    assert record.num_train == len(digits.test)
    assert record.baseline.technique == "finetune"


def test_techniques_that_need_labels_refuse_a_proxy_set(student, teacher, digits):
    with pytest.raises(InputError, match="has labels to learn from"):
        transfer(student, teacher, digits, technique="dkd", transfer_set=digits.test.inputs)


def test_a_gain_that_no_labelled_sample_can_show_is_pointed_out(student, teacher, digits):
    few = digits.subset(np.flatnonzero(digits.labels < 5))
    record = transfer(student, teacher, few, transfer_set=digits.train.inputs).record
    assert any("proxy set does not count" in sentence for sentence in record.warnings)


LAYOUTS = [
    {"precision": "float32", "memory_format": "as-is", "threads": 1},
    {"precision": "bfloat16", "memory_format": "channels-last", "threads": 2},
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_how_a_student_is_run_is_as_asked_and_part_of_the_record(student, teacher, digits, layout):
    record = transfer(student, teacher, digits, epochs=1, baseline=False, **layout).record
    assert {**layout, "compile": False}.items() <= record.training.items()


def test_what_is_measured_is_remembered_so_the_same_call_gives_the_same_student(student, teacher, digits):
    first, again = (
        transfer(student, teacher, digits, technique="dp-kd", keep="last", batch_size=48) for _ in range(2)
    )
    assert hash_state(first.student.state_dict()) == hash_state(again.student.state_dict())
    assert first.record.training == again.record.training
    assert first.record.attempt.change == again.record.attempt.change
    assert first.record.training["precision"] in ("float32", "bfloat16")
    assert first.record.training["memory_format"] in ("as-is", "contiguous", "channels-last")
    assert first.record.training["threads"] >= 1
    assert "auto" not in first.record.training.values()


def test_two_teachers_are_named_and_measured(student, teacher, make_model, digits):
    record = transfer(
        student,
        [teacher, make_model(range(10))],
        digits,
        technique="dp-kd",
        teacher_names=["site B", "site C"],
    ).record
    assert [standing.name for standing in record.teachers] == ["site B", "site C"]
    assert record.teachers[1].accuracy > record.teachers[0].accuracy


def test_a_teacher_of_other_classes_teaches_those_it_shares(student, teacher, digits):
    named = models.adapt(
        nn.Sequential(copy.deepcopy(teacher), Columns([9, 8, 7])), class_names=("nine", "eight", "tree")
    )
    record = transfer(
        student, named, digits, technique="dp-kd", epochs=4, class_map={"nine": "9", "eight": "8"}
    ).record
    lacks, extra = (
        next(w for w in record.warnings if start in w)
        for start in ("The teacher has no class", "no class tree")
    )
    assert "0, 1, 2, 3, 4 and 3 more" in lacks
    assert "not used" in extra
    assert record.teachers[0].class_accuracy[9] > 0.8
    assert record.teachers[0].class_accuracy[0] == 0
    assert record.gain > 0


def test_samples_of_a_class_the_student_lacks_are_left_out_and_counted(student, teacher, digits):
    eight = models.adapt(
        nn.Sequential(copy.deepcopy(student), Columns(range(8))), class_names=tuple(map(str, range(8)))
    )
    named = models.adapt(copy.deepcopy(teacher), class_names=digits.class_names)
    record = transfer(eight, named, digits).record
    lost = int((digits.train.labels >= 8).sum())
    assert record.num_train + record.num_validation == len(digits.train) - lost
    assert any(f"The student has no class 8 and 9: {lost} training samples" in w for w in record.warnings)
    assert len(record.class_names) == 8


def test_a_class_without_samples_is_named(student, teacher, digits):
    few = digits.subset(np.flatnonzero(digits.labels < 5))
    record = transfer(student, teacher, few).record
    assert any("no training samples of 5, 6, 7, 8 and 9" in sentence for sentence in record.warnings)


def as_arrays(digits, normalization):
    return data.normalize(digits.train.inputs, normalization).numpy().astype(np.float64), digits.labels


KINDS_OF_DATA = {
    "name": lambda arrays: "digits",
    "pair of arrays": lambda arrays: arrays,
    "pair of tensors": lambda arrays: tuple(map(torch.from_numpy, arrays)),
    "samples": lambda arrays: data.Samples(
        inputs=torch.from_numpy(arrays[0]).float(), labels=torch.from_numpy(arrays[1])
    ),
    "PyTorch data set": lambda arrays: torch.utils.data.TensorDataset(
        torch.from_numpy(arrays[0]).float(), torch.from_numpy(arrays[1])
    ),
}


@pytest.mark.parametrize("kind", KINDS_OF_DATA)
def test_data_come_as_users_have_them(student, teacher, digits, normalization, kind):
    given = KINDS_OF_DATA[kind](as_arrays(digits, normalization))
    models_given = (student, teacher) if kind == "name" else (student.module, teacher.module)
    record = transfer(*models_given, given, technique="dp-kd", epochs=1, baseline=False).record
    assert record.attempt.change.accuracy_before > 0.6
    compared = limbeck.compare(*models_given, given, progress=False)
    assert compared.second.accuracy > 0.6


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (torch.utils.data.DataLoader([1, 2]), "loader.dataset"),
        ({"x": 1}, "Data must be a data set, samples, .* but got a dict"),
        ((np.zeros((0, 1, 8, 8), dtype=np.uint8), np.zeros(0, dtype=np.int64)), "there is a sample"),
        ((np.full((30, 1, 8, 8), np.nan), np.arange(30) % 10), "inputs are finite"),
        ((np.zeros((30, 1, 8, 8)), np.arange(30) % 15), "The student has one name per class|label 14"),
    ],
)
def test_data_that_cannot_be_used_are_named(student, teacher, given, rule):
    for function in (limbeck.transfer, limbeck.compare):
        if function is limbeck.compare and "label" in rule:
            continue
        with pytest.raises(InputError, match=rule):
            function(student, teacher, given, progress=False)


def test_a_label_beyond_the_students_classes_is_named(student, teacher, digits):
    labels = digits.train.labels.clone()
    labels[5] = 12
    named = models.adapt(student, class_names=digits.class_names)
    with pytest.raises(InputError, match=r"labels of the training data < 10.*label 12"):
        transfer(named, teacher, data.Samples(inputs=digits.train.inputs, labels=labels))


def test_no_teacher_is_none_and_anything_else_than_a_module_is_refused(student, digits):
    assert transfer(student, None, digits, technique="self-kd", epochs=0).record.teachers == ()
    with pytest.raises(InputError, match="Teacher 1 must be a torch module"):
        transfer(student, ["model.pt", "other.pt"], digits)


def test_data_whose_last_class_is_missing_do_not_rename_the_models_classes(student, teacher, digits):
    kept = np.flatnonzero(digits.labels < 9)
    fewer = data.make_data_set(
        "fewer", digits.subset(kept), digits.subset(kept[:200]), tuple(map(str, range(9)))
    )
    record = transfer(student, teacher, fewer, epochs=0).record
    assert record.class_names == tuple(map(str, range(10)))
    assert limbeck.compare(student, teacher, fewer, progress=False).num_samples == 200


def test_a_teacher_without_names_has_the_datas_where_the_students_are_fewer(student, teacher, digits):
    five = models.adapt(
        nn.Sequential(copy.deepcopy(student), Columns(range(5))), class_names=tuple(map(str, range(5)))
    )
    record = transfer(five, teacher, digits, technique="dp-kd", epochs=0).record
    assert record.class_names == tuple(map(str, range(5)))
    assert any("The student has no class 5, 6, 7, 8 and 9" in sentence for sentence in record.warnings)


def test_the_new_classifier_knows_its_classes(student, teacher, digits):
    assert student.class_names is None
    assert transfer(student, teacher, digits, epochs=0).student.class_names == digits.class_names


@pytest.mark.parametrize("class_map", [{"banana": "3"}, {"3": "tree"}])
def test_a_misspelt_class_map_is_refused(student, teacher, digits, class_map):
    named = models.adapt(student, class_names=digits.class_names)
    with pytest.raises(InputError, match="Unknown class to rename"):
        transfer(named, teacher, digits, class_map=class_map)
    with pytest.raises(InputError, match="Unknown class to rename"):
        limbeck.compare(named, teacher, digits, class_map=class_map)


def test_a_teacher_of_few_classes_is_judged_on_those(student, teacher, digits):
    two = models.adapt(nn.Sequential(copy.deepcopy(teacher), Columns([8, 9])), class_names=("8", "9"))
    record = transfer(student, two, digits, technique="dp-kd", epochs=0).record
    assert not any("near chance" in sentence for sentence in record.warnings)


def test_a_copy_of_the_student_as_its_teacher_is_noticed(student, digits):
    record = transfer(student, copy.deepcopy(student), digits, epochs=0).record
    assert "The teacher has the student's weights: there is nothing to learn from it." in record.warnings


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"technique": "kdd"}, "Did you mean `kd`"),
        ({"temperature": 0}, "temperature > 0"),
        ({"technique": "dkd", "coefficients": {"alhpa": 1}}, "Did you mean `alpha`"),
        ({"validation_share": 1}, "0 < validation_share < 1"),
        ({"validation_share": 0.9999}, "leaves samples to learn from"),
        ({"keep": "first"}, "Unknown value of `keep`"),
        ({"precision": "bfloat"}, "Did you mean `bfloat16`"),
        ({"memory_format": "channel-last"}, "Did you mean `channels-last`"),
        ({"threads": 0}, "threads >= 1"),
        ({"compile": "on"}, "compile is False or True or auto"),
        ({"optimizer": "adamw"}, "Unknown optimizer"),
        ({"device": "abacus"}, "the device exists"),
        ({"teacher_names": ["a", "b"]}, "one name per teacher"),
    ],
)
def test_wrong_options_are_named(student, teacher, digits, options, rule):
    with pytest.raises(InputError, match=rule):
        transfer(student, teacher, digits, **options)


def test_the_record_turns_into_json(outcome):
    content = json.loads(json.dumps(outcome.record.to_dict()))
    promised = (
        "technique accuracy_before accuracy_after gain forgetting positive_flips negative_flips seconds"
    )
    assert set(promised.split()) <= set(content)
    assert content["baseline"]["technique"] == "finetune"
    assert content["technique"] == "dp-kd"


def test_a_line_is_shown_where_there_is_no_terminal_only_now_and_then(student, teacher, digits, capsys):
    limbeck.transfer(student, teacher, digits, epochs=1, baseline=False)
    assert capsys.readouterr().out == ""


class Columns(nn.Module):
    """Some columns of what comes in."""

    def __init__(self, ids):
        super().__init__()
        self.ids = list(ids)

    def forward(self, logits):
        return logits[:, self.ids]


class Shift(nn.Module):
    """Each class's logit on the next class, and ten times as sure."""

    def forward(self, logits):
        return 10 * torch.roll(logits, 1, dims=1)
