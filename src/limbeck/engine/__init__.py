"""Pre-training, transfer and evaluation."""

from limbeck.engine.evaluation import (
    Change,
    accuracy,
    class_accuracy,
    measure_change,
    predict,
    predict_logits,
)
from limbeck.engine.pretraining import pretrain
from limbeck.engine.training import Trained, Training, train
from limbeck.engine.transfer import Case, Transferred, check_transfer, transfer

__all__ = [
    "Case",
    "Change",
    "Trained",
    "Training",
    "Transferred",
    "accuracy",
    "check_transfer",
    "class_accuracy",
    "measure_change",
    "predict",
    "predict_logits",
    "pretrain",
    "train",
    "transfer",
]
