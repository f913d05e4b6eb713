"""What is promised: a change here is a change of the public interface."""

import importlib

import pytest

import limbeck

PUBLIC = {
    "data": "AUGMENTATIONS SOURCES Augmentation DataSet Inputs Normalization Samples StoredImages Texts "
    "Tokens View augment count_samples from_dataset input_shape load load_batch load_inputs "
    "make_data_set measure_normalization normalize read_data_set take_samples write_data_set",
    "models": "ARCHITECTURES NORMALIZATIONS Card Classifier Preprocessing adapt build build_architecture "
    "count_parameters encode_texts export infer_num_classes load load_classifier load_weights "
    "measure_truncation parse_normalization read_card read_state save save_classifier "
    "weighted_average",
    "losses": "align_logits bidirectional blend calibrated_cross_entropy check_settings coverage_mean "
    "cross_entropy dist distillation dkd kd mean_logits mean_probabilities mutual nkd ntd select_targets "
    "share_mean standardize teacher_weights weighted_probabilities",
    "techniques": "TECHNIQUES AnySettings ComposedTechnique DistSettings DkdSettings FrozenTechnique "
    "MutualTechnique NkdSettings Outputs Settings Target Technique get_technique "
    "list_coefficients make_settings standardize_technique",
    "engine": "Calibrated Case Change Course EVALUATION_BATCH Hooks Layout MEMORY_FORMATS MemoryFormat "
    "OPTIMIZERS Optimizer PRECISIONS Precision TargetCache Trained Training Transfer Transferred Wishes "
    "accuracy advance_together apply_technique begin_transfer calibrate check_transfer class_accuracy "
    "count_batches count_stack_bytes default_target_cache device_of hash_inputs identify_logits "
    "is_stack_faster list_calibrated measure_change measure_layouts predict predict_cached predict_logits "
    "pretrain tells_better_than_chance train use_threads warm_up",
    "pairs": "Attempt Comparison Outcome Standing TransferRecord compare measure_calibration transfer",
    "tune": "DRIVERS Tried Tuned Worth choose_best compare_paired grid_points tune",
    "federate": "STARTS STRATEGIES Client Distillation Entry Ledger Message Plan Privacy Recipe Round Server "
    "Simulation Standing decode encode federate",
    "advise": "Advice Expectation FederationAdvice FederationOption LabelCounts Measured Neighbour "
    "Setting Wording add_noise advise advise_case advise_counts advise_federation count_labels "
    "read_counts read_measured read_studies write_counts",
    "track": "Note Point RoundFollower TrackedRun Tracker Tracking open_tracking",
    "study": "Choice Crew Plan Progress Run StudyOutcome StudySpec list_builtin load_spec make_plan "
    "parse_duration parse_spec run_study",
}


@pytest.mark.parametrize("folder", PUBLIC)
def test_public_names_are_the_promised_ones(folder):
    module = importlib.import_module(f"limbeck.{folder}")
    assert sorted(module.__all__) == sorted(PUBLIC[folder].split())
    assert all(getattr(module, name) is not None for name in module.__all__)


def test_folders_are_reached_from_the_top():
    assert limbeck.losses.kd is importlib.import_module("limbeck.losses").kd
    assert limbeck.__version__
    with pytest.raises(AttributeError, match="no attribute `nothing`"):
        _ = limbeck.nothing
