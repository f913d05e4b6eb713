"""Advice: a case described by label counts or models is looked up in what was measured."""

from limbeck.advise.ask import advise, advise_counts
from limbeck.advise.counts import LabelCounts, add_noise, count_labels, read_counts, write_counts
from limbeck.advise.federation import advise_federation
from limbeck.advise.measured import Measured, Setting, read_measured
from limbeck.advise.record import Advice, Expectation, FederationAdvice, FederationOption, Neighbour
from limbeck.advise.table import read_studies
from limbeck.advise.transfer import Wording, advise_case

__all__ = [
    "Advice",
    "Expectation",
    "FederationAdvice",
    "FederationOption",
    "LabelCounts",
    "Measured",
    "Neighbour",
    "Setting",
    "Wording",
    "add_noise",
    "advise",
    "advise_case",
    "advise_counts",
    "advise_federation",
    "count_labels",
    "read_counts",
    "read_measured",
    "read_studies",
    "write_counts",
]
