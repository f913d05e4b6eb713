"""Named seeds and content hashes are the same everywhere and differ where they should."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.core.fingerprint import canonical_json, hash_arrays, hash_config, hash_state
from limbeck.core.seeds import derive_seed, numpy_rng, torch_rng


def test_a_seed_is_what_the_definition_gives():
    digest = hashlib.blake2b(b"7\x1fstr:client\x1fint:3", digest_size=8).digest()
    assert derive_seed(7, "client", 3) == int.from_bytes(digest, "big") >> 1


def test_any_other_name_gives_another_seed():
    seeds = {derive_seed(0, "a", 1), derive_seed(0, "a", "1"), derive_seed(0, "a1"), derive_seed(1, "a", 1)}
    assert len(seeds) == 4


def test_generators_repeat():
    assert numpy_rng(0, "x").random() == numpy_rng(0, "x").random()
    assert torch.equal(torch.rand(3, generator=torch_rng(0, "x")), torch.rand(3, generator=torch_rng(0, "x")))


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.booleans() | st.none(), max_size=6))
def test_the_order_of_keys_does_not_change_a_configuration_hash(config):
    assert hash_config(config) == hash_config(dict(reversed(config.items())))


def test_a_configuration_with_nan_has_no_hash():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": float("nan")})


def test_arrays_are_known_by_type_shape_and_content():
    base = np.arange(6)
    hashes = [
        hash_arrays([base]),
        hash_arrays([base.reshape(2, 3)]),
        hash_arrays([base.astype(np.int32)]),
        hash_arrays([base + 1]),
        hash_arrays([base[:3], base[3:]]),
    ]
    assert len(set(hashes)) == len(hashes)
    assert hash_arrays([base[::-1][::-1]]) == hashes[0]


def test_weights_are_known_by_name_and_content_not_by_order_or_layout():
    weights = {"a": torch.randn(2, 3, 4, 4), "b": torch.zeros((), dtype=torch.int64)}
    relaid = {"b": weights["b"], "a": weights["a"].contiguous(memory_format=torch.channels_last)}
    assert hash_state(weights) == hash_state(relaid)
    assert hash_state(weights) != hash_state({"a": weights["a"] + 1, "b": weights["b"]})
