"""Pre-training, transfer and evaluation."""

from limbeck.engine.application import Transferred, apply_technique, check_transfer
from limbeck.engine.case import Case
from limbeck.engine.evaluation import (
    EVALUATION_BATCH,
    Change,
    accuracy,
    class_accuracy,
    device_of,
    measure_change,
    predict,
    predict_logits,
    tells_better_than_chance,
)
from limbeck.engine.precision import PRECISIONS, Precision, pick_precision
from limbeck.engine.pretraining import pretrain
from limbeck.engine.target_cache import (
    TargetCache,
    default_target_cache,
    hash_inputs,
    identify_logits,
    predict_cached,
)
from limbeck.engine.training import OPTIMIZERS, Hooks, Optimizer, Trained, Training, train, warm_up

__all__ = [
    "EVALUATION_BATCH",
    "OPTIMIZERS",
    "PRECISIONS",
    "Case",
    "Change",
    "Hooks",
    "Optimizer",
    "Precision",
    "TargetCache",
    "Trained",
    "Training",
    "Transferred",
    "accuracy",
    "apply_technique",
    "check_transfer",
    "class_accuracy",
    "default_target_cache",
    "device_of",
    "hash_inputs",
    "identify_logits",
    "measure_change",
    "pick_precision",
    "predict",
    "predict_cached",
    "predict_logits",
    "pretrain",
    "tells_better_than_chance",
    "train",
    "warm_up",
]
