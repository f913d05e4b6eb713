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
from limbeck.engine.training import Hooks, Trained, Training, train

__all__ = [
    "Case",
    "Change",
    "Hooks",
    "Trained",
    "Training",
    "Transferred",
    "accuracy",
    "apply_technique",
    "check_transfer",
    "class_accuracy",
    "device_of",
    "measure_change",
    "predict",
    "predict_logits",
    "pretrain",
    "train",
]
