"""Classifiers: a small zoo, and models on disk as safetensors with a JSON card."""

from limbeck.models.card import Card, load, read_card, save
from limbeck.models.zoo import ARCHITECTURES, build, count_parameters

__all__ = ["ARCHITECTURES", "Card", "build", "count_parameters", "load", "read_card", "save"]
