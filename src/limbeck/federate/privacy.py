"""What leaves a client is clipped and noised, and what that promises is accounted for.

A client's update is scaled down to an L2 norm of at most C, and every coordinate gets Gaussian noise of
standard deviation z C. The promise is made by each client alone and holds against the server too: an update
made from other samples of that client, any of them changed, is at most 2 C away, so one message is a Gaussian
mechanism with noise z / 2 times its sensitivity, and the messages of a run compose.

References:
    Clipping and noise: McMahan et al. 2018, https://arxiv.org/abs/1710.06963.
    Accounting: Mironov 2017, https://arxiv.org/abs/1702.07476, by Google's `dp-accounting`.
"""

import hashlib
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.federate.messages import State
from limbeck.federate.plan import Privacy

# A square root is taken of it, so that negative noise would make a model of NaN.
VARIANCE = "running_var"


def protect(
    before: State, after: State, privacy: Privacy, *, seed: int, round_number: int
) -> dict[str, Tensor]:
    """The weights `after`, their distance from `before` clipped and noised.

    Law: without noise the result is at most `clip_norm` away from `before`, and equals `after` where that is
    nearer. Counters, such as those of batch normalisation, are no numbers of the data and stay; its variances
    are at least 0, whatever the noise.

    The noise is a function of the secret seed and of both states: an update sent twice is sent with the same
    noise, which tells nothing new, and no two updates share any, which would cancel in their difference.

    Args:
        before: What the server sent.
        after: What the client made of it.
        privacy: How far, and how much noise.
        seed: The client's own, which the server must not know: whoever has it can take the noise away.
        round_number: The round.
    """
    names = [name for name, value in after.items() if value.is_floating_point()]
    updates = {name: after[name].to(torch.float64) - before[name].to(torch.float64) for name in names}
    norm = get_total_norm(list(updates.values()))
    scale = torch.clamp(privacy.clip_norm / norm.clamp_min(torch.finfo(torch.float64).tiny), max=1.0)
    stream = _open_stream(seed, round_number, hash_state(before), hash_state(after))
    std = privacy.noise_multiplier * privacy.clip_norm
    protected = dict(after)
    for name, update in updates.items():
        noise = draw_normal(f"{stream}:{name}", update.numel()).reshape(update.shape).to(update.device) * std
        value = (before[name].to(torch.float64) + update * scale + noise).to(after[name].dtype)
        protected[name] = value.clamp_min(0) if name.endswith(VARIANCE) else value
    return protected


def _open_stream(*parts: str | int) -> str:
    return ":".join(map(str, parts))


def draw_normal(key: str, num_values: int) -> Tensor:
    """Standard normal numbers that nobody can guess without the key, in float64.

    They are quantiles of the bytes that SHAKE-256 makes of the key. PyTorch's generator would take 32 bits of
    a seed, and a server could try all of them.

    Args:
        key: As secret as what it protects.
        num_values: How many.
    """
    content = hashlib.shake_256(key.encode()).digest(8 * num_values)
    bits = np.frombuffer(content, dtype="<u8") >> 11
    return torch.special.ndtri(torch.from_numpy((bits + 0.5) / 2**53))


def spent_budget(privacy: Privacy, *, num_messages: int) -> float:
    """The epsilon for which a client's messages are (epsilon, delta)-differentially private.

    Args:
        privacy: Clipping and noise of each message.
        num_messages: How many updates the client has sent.

    Returns:
        Epsilon; 0 before the first message, infinity without noise.

    Raises:
        InputError: When `dp-accounting` is not installed.
    """
    if num_messages == 0:
        return 0.0
    if privacy.noise_multiplier == 0:
        return math.inf
    try:
        from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
        from dp_accounting.rdp import RdpAccountant
    except ImportError as error:
        raise InputError(
            "the privacy budget needs the package `dp-accounting`, which is not installed. "
            "Install it with `pip install 'limbeck[privacy]'`."
        ) from error
    accountant = RdpAccountant()
    message = GaussianDpEvent(privacy.noise_multiplier / 2)
    accountant.compose(SelfComposedDpEvent(message, num_messages))
    return float(accountant.get_epsilon(privacy.delta))
