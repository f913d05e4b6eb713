"""Tensors as files take them."""

from collections.abc import Mapping

from torch import Tensor


def copy_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU, contiguous, under all their names; those that share memory are repeated.

    A file written from a model's state is taken by `load_state_dict` of the same model, tied weights or not.
    """
    copied: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in state.items():
        own = tensor.detach().cpu().contiguous()
        address = own.untyped_storage().data_ptr()
        copied[name] = own.clone() if address in seen else own
        seen.add(address)
    return copied
