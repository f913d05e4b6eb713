"""Pre-training, transfer and evaluation."""

from limbeck.engine.application import Transferred, apply_technique, check_transfer
from limbeck.engine.case import Case
from limbeck.engine.evaluation import (
    Change,
    accuracy,
    class_accuracy,
    device_of,
    measure_change,
    predict,
    predict_logits,
)
from limbeck.engine.pretraining import pretrain
from limbeck.engine.target_cache import (
    TargetCache,
    default_target_cache,
    identify_logits,
    predict_cached,
)
from limbeck.engine.training import Hooks, Trained, Training, train

__all__ = [
    "Case",
    "Change",
    "Hooks",
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
    "identify_logits",
    "measure_change",
    "predict",
    "predict_cached",
    "predict_logits",
    "pretrain",
    "train",
]
