"""How one data set is divided between clients: labels in, one int64 index array per client out.

Every strategy is a pure function of labels, parameters and seed; its arrays are ascending and share no
sample.
"""

from limbeck.partition.carving import carve_out
from limbeck.partition.class_sets import classes, disjoint, overlapping
from limbeck.partition.class_shares import dirichlet
from limbeck.partition.client_mixes import client_dirichlet, mixed
from limbeck.partition.description import Description, describe
from limbeck.partition.exponential_tail import long_tail
from limbeck.partition.index_file import load, save
from limbeck.partition.purposes import Reserved, reserve, split_between_clients
from limbeck.partition.record import Partition, split
from limbeck.partition.same_mix import quantity, uniform
from limbeck.partition.sorted_shards import shards
from limbeck.partition.strategies import STRATEGIES, Parameter, Strategy, check_parameters, title

__all__ = [
    "STRATEGIES",
    "Description",
    "Parameter",
    "Partition",
    "Reserved",
    "Strategy",
    "carve_out",
    "check_parameters",
    "classes",
    "client_dirichlet",
    "describe",
    "dirichlet",
    "disjoint",
    "load",
    "long_tail",
    "mixed",
    "overlapping",
    "quantity",
    "reserve",
    "save",
    "shards",
    "split",
    "split_between_clients",
    "title",
    "uniform",
]
