"""What is promised: a change here is a change of the public interface."""

import importlib

import pytest

import limbeck

PUBLIC = {
    "losses": "check_settings cross_entropy distillation kd mean_probabilities mutual select_targets",
    "techniques": "TECHNIQUES FrozenTechnique MutualTechnique Outputs Settings Target Technique "
    "get_technique",
    "engine": "Case Change Trained Training Transferred accuracy check_transfer class_accuracy "
    "measure_change predict predict_logits pretrain train transfer",
    "models": "ARCHITECTURES Card build count_parameters load read_card save",
    "data": "SOURCES DataSet Normalization Samples load make_data_set measure_normalization normalize "
    "read_data_set write_data_set",
    "tune": "choose_best grid_points",
    "federate": "STARTS Client Consolidation Entry Ledger Round Start Started decode encode make_start "
    "run_fedavg weighted_average",
    "study": "Plan Progress Run StudyOutcome StudySpec list_builtin load_spec make_plan parse_spec run_study",
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
