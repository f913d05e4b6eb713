"""Classifiers of any architecture, from a small zoo, other libraries or users, on disk and in memory.

`load_classifier` reads what was trained elsewhere, `adapt` takes a model from Python, and both give a
`Classifier`: a module together with how it sees inputs. Nothing is ever unpickled.
"""

from limbeck.models.adapt import adapt
from limbeck.models.architectures import build_architecture, infer_num_classes
from limbeck.models.averaging import weighted_average
from limbeck.models.card import Card, load, read_card, save
from limbeck.models.checkpoints import read_state
from limbeck.models.classifier import Classifier
from limbeck.models.export import export
from limbeck.models.preprocessing import NORMALIZATIONS, Preprocessing, parse_normalization
from limbeck.models.saved import save_classifier
from limbeck.models.sources import load_classifier
from limbeck.models.text import encode_texts, measure_truncation
from limbeck.models.weights import load_weights
from limbeck.models.zoo import ARCHITECTURES, build, count_parameters

__all__ = [
    "ARCHITECTURES",
    "NORMALIZATIONS",
    "Card",
    "Classifier",
    "Preprocessing",
    "adapt",
    "build",
    "build_architecture",
    "count_parameters",
    "encode_texts",
    "export",
    "infer_num_classes",
    "load",
    "load_classifier",
    "load_weights",
    "measure_truncation",
    "parse_normalization",
    "read_card",
    "read_state",
    "save",
    "save_classifier",
    "weighted_average",
]
