"""A transfer in words, tables and pictures, against numbers counted by hand."""

import re
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs
from tests.report.pair_records import make_attempt, make_baseline, make_change, make_record

from limbeck.report import build_transfer_page, draw_transfer, transfer_markdown
from limbeck.report.transfer import (
    describe_baseline,
    describe_gain,
    describe_kept,
    describe_loss,
    describe_transfer,
    list_facts,
    tabulate_attempts,
    tabulate_changes,
    tile_transfer,
)
from limbeck.report.wording import TECHNIQUE_LABELS
from limbeck.techniques import TECHNIQUES

THIN = "\N{NARROW NO-BREAK SPACE}"


def test_the_gain_stands_beside_that_of_finetune():
    sentence = describe_gain(make_record())
    assert f"DKD changed the student's accuracy by +10.0 points, from 60.0{THIN}% to 70.0{THIN}%" in sentence
    assert sentence.endswith("by +2.0.")
    assert "finetun" not in describe_gain(make_record(baseline=None))
    unchanged = make_attempt(change=make_change(accuracy_after=0.6, gain=0.0))
    assert describe_gain(make_record(attempt=unchanged)).startswith(
        f"DKD left the student's accuracy at 60.0{THIN}%; finetuning alone"
    )


def test_a_technique_that_beats_finetune_is_said_to_with_the_number_of_samples():
    # 10 against 2 of 100 samples: 8 more; at most 14 + 4 flips, 2 sqrt(18) = 8.5, so chance reaches that.
    assert describe_baseline(make_record()) == (
        "DKD beat finetune by 8.0 points (8 of 100 samples): that is what it added to training on. "
        "In one run on so many samples, chance could explain it too."
    )
    # With 14 + 1 flips 2 sqrt(15) = 7.7 stays below 9.
    clear = make_record(baseline=make_baseline(after=0.61, positive=1, negative=0))
    assert describe_baseline(clear).endswith("(9 of 100 samples): that is what it added to training on.")


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (0.7, "did not beat finetune, which gained as much: this gain is not a transfer."),
        (0.9, "did not beat finetune, which gained 20.0 points (20 of 100 samples) more."),
    ],
)
def test_a_technique_that_does_not_beat_finetune_is_said_not_to(after, words):
    assert words in describe_baseline(make_record(baseline=make_baseline(after=after)))


def test_without_finetune_the_question_is_said_to_be_open():
    assert "nobody knows" in describe_baseline(make_record(baseline=None))
    finetuned = make_record(attempt=make_baseline(), baseline=None)
    assert describe_baseline(finetuned).startswith("Finetuning has no teacher")


@pytest.mark.parametrize(
    ("changes", "keep", "words"),
    [
        (
            {},
            "best",
            f"2 of 3 was kept, because it was the best on 100 validation samples: 72.0{THIN}%",
        ),
        ({"kept_epoch": 0}, "best", f"kept as it came: no epoch of 3 was better than its 61.0{THIN}%"),
        ({"kept_epoch": 3}, "last", f"epoch 3 of 3 was kept, the last one as asked, with 70.0{THIN}%"),
        ({"diverged_in_epoch": 3}, "best", "The training diverged in epoch 3."),
        (
            {"validation": (0.61,), "kept_epoch": 0, "diverged_in_epoch": 1},
            "best",
            "The student was kept as it came: the training diverged in epoch 1 of 3, and no epoch before "
            f"that was better than its 61.0{THIN}% on 100 validation samples.",
        ),
    ],
)
def test_what_was_kept_is_said_with_the_reason(changes, keep, words):
    assert words in describe_kept(make_record(attempt=make_attempt(**changes), keep=keep))


def test_forgetting_and_flips_are_said():
    assert describe_loss(make_record()) == (
        "It forgot 2.0 points on the classes the student knew; 12 samples became right and 2 wrong. "
        "Finetune forgot 1.0 points."
    )


def test_numbers_from_validation_samples_are_called_optimistic():
    warning = "expect a little less"
    on_validation = make_record(measured_on="validation")
    assert any(warning in sentence for sentence in describe_transfer(on_validation))
    assert not any(warning in sentence for sentence in describe_transfer(make_record()))


def test_tiles_show_finetune_only_where_it_ran():
    assert [tile.value for tile in tile_transfer(make_record())] == ["+10.0", "+2.0", "70.0", "2.0"]
    assert [tile.value for tile in tile_transfer(make_record(baseline=None))] == ["+10.0", "70.0", "2.0"]


def test_the_table_has_technique_and_finetune_side_by_side():
    assert tabulate_attempts(make_record()).rows == (
        ("DKD", f"60.0{THIN}%", f"70.0{THIN}%", "+10.0", "2.0", "12", "2", "2 of 3", "12.3 s"),
        ("finetune", f"60.0{THIN}%", f"62.0{THIN}%", "+2.0", "1.0", "3", "1", "1 of 3", "3.2 s"),
    )


def test_the_table_says_when_a_training_diverged_and_of_how_many_epochs():
    diverged = make_attempt(validation=(0.6,), kept_epoch=0, diverged_in_epoch=1)
    row, _ = tabulate_attempts(make_record(attempt=diverged)).rows
    assert row[7] == "0 of 3, diverged in epoch 1"


def test_a_technique_that_trains_several_times_counts_all_its_epochs():
    twice = make_attempt("dp-kd-sequential", validation=(0.6,) * 7, kept_epoch=5)
    assert tabulate_attempts(make_record(attempt=twice)).rows[0][7] == "5 of 6"


def test_the_class_table_shows_change_and_forgetting():
    assert tabulate_changes(make_record(baseline=None)).rows == (
        ("cat", f"50.0{THIN}%", f"70.0{THIN}%", "+20.0", "0.0"),
        ("dog", f"80.0{THIN}%", f"75.0{THIN}%", "−5.0", "5.0"),
        ("owl", "–", "–", "–", "–"),
    )
    assert tabulate_changes(make_record()).columns[-1] == "After finetune"


def test_facts_name_settings_and_leave_out_what_is_not_there():
    facts = dict(list_facts(make_record(data_fingerprint="")))
    assert facts["Settings"] == "temperature 4, weight 0.5, beta 8"
    assert facts["Training"] == "epochs 3, batch size 64, optimizer sgd, lr 0.01"
    assert "Run as" not in facts
    layout = {"precision": "bfloat16", "memory_format": "channels-last", "threads": 2, "compile": False}
    laid_out = dict(list_facts(make_record(training={"epochs": 3, **layout})))
    assert (laid_out["Training"], laid_out["Run as"]) == ("epochs 3", "bfloat16, channels-last, 2 threads")
    assert "lr 5e-05" in dict(list_facts(make_record(training={"lr": 0.00005000000000000001})))["Training"]
    assert "Data fingerprint" not in facts
    assert "From the teacher" not in facts
    chosen = make_record(attempt=make_attempt(share_from_teacher=0.25))
    assert dict(list_facts(chosen))["From the teacher"] == f"25.0{THIN}% of the samples"


def test_classes_are_drawn_before_and_after_with_losses_in_a_line_of_their_own():
    figure = draw_transfer(make_record())["classes"]
    gains, losses, before, after = figure.data
    assert list(before.x) == [50, 80]
    assert list(after.x) == [70, 75]
    assert list(gains.y) == [0, 0, None]
    assert list(losses.y) == [1, 1, None]


def test_the_kept_epochs_are_ringed_on_the_validation_curves():
    figure = draw_transfer(make_record())["validation"]
    finetune, technique, kept_finetune, kept_technique = figure.data
    assert (finetune.name, technique.name) == ("finetune", "DKD")
    assert list(technique.y) == [61, 65, 72, 70]
    assert (kept_finetune.x, kept_finetune.y) == ((1,), (65,))
    assert (kept_technique.x, kept_technique.y) == ((2,), (72,))
    assert len(draw_transfer(make_record(baseline=None))["validation"].data) == 2


def test_markdown_holds_sentences_warnings_and_tables():
    text = transfer_markdown(make_record())
    assert text.startswith("* DKD changed")
    assert "* The student has no class owl: &lt;5&gt; samples are left out." in text
    assert "| DKD | " in text
    assert "| B | " in text


def test_the_page_says_how_the_student_is_loaded_where_it_was_saved(tmp_path):
    weights = Path("out/model.safetensors")
    path = build_transfer_page(make_record(), tmp_path / "report.html", weights=weights)
    page = path.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert "model.load_state_dict(safetensors.torch.load_file(&#34;out/model.safetensors&#34;))" in page
    assert "import safetensors.torch\n" in page
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"'](?:https?:)?//", page)
    assert "&lt;5&gt; samples" in page
    without = build_transfer_page(make_record(teachers=()), tmp_path / "report.html")
    assert "load_state_dict" not in without.read_text(encoding="utf-8").replace(get_plotlyjs(), "")


def test_every_technique_has_a_label():
    assert set(TECHNIQUES) <= set(TECHNIQUE_LABELS)


def test_a_student_that_lost_accuracy_has_a_negative_gain():
    change = make_change(accuracy_after=0.5, gain=-0.1, positive_flips=2, negative_flips=12)
    assert "by −10.0 points" in describe_gain(make_record(attempt=make_attempt(change=change)))
