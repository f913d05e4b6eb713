"""The losses once more, in float64 NumPy, written from the papers and not from the code under test."""

import numpy as np


def softmax(z: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    scaled = z / temperature
    e = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -np.log(softmax(z)[np.arange(len(y)), y])


def kd(z_s: np.ndarray, z_t: np.ndarray, temperature: float) -> np.ndarray:
    p_t, p_s = softmax(z_t, temperature), softmax(z_s, temperature)
    return temperature**2 * (p_t * np.log(p_t / p_s)).sum(axis=-1)


def select(z_t: np.ndarray, z_0: np.ndarray, y: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    target, taken = z_0.copy(), np.zeros(len(z_0), dtype=bool)
    for i in range(len(z_0)):
        p_t, p_0 = softmax(z_t[i]), softmax(z_0[i])
        score_t, score_0 = (p_t.max(), p_0.max()) if y is None else (p_t[y[i]], p_0[y[i]])
        if score_t > score_0:
            target[i], taken[i] = z_t[i], True
    return target, taken


def mutual(zs: list[np.ndarray], y: np.ndarray) -> list[np.ndarray]:
    losses = []
    for k, z_k in enumerate(zs):
        pulls = [kd(z_k, z_l, 1.0) for other, z_l in enumerate(zs) if other != k]
        losses.append(cross_entropy(z_k, y) + sum(pulls) / (len(zs) - 1))
    return losses


def mean_probabilities_kd(z_s: np.ndarray, zs_t: np.ndarray, temperature: float) -> np.ndarray:
    p_t = np.mean([softmax(z_t, temperature) for z_t in zs_t], axis=0)
    p_s = softmax(z_s, temperature)
    return temperature**2 * (p_t * np.log(p_t / p_s)).sum(axis=-1)
