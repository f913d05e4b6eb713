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


def others(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array(
        [[value for c, value in enumerate(row) if c != label] for row, label in zip(z, y, strict=True)]
    )


def dkd(
    z_s: np.ndarray, z_t: np.ndarray, y: np.ndarray, alpha: float, beta: float, temperature: float
) -> np.ndarray:
    rows = np.arange(len(y))
    p_s, p_t = softmax(z_s, temperature)[rows, y], softmax(z_t, temperature)[rows, y]
    tckd = p_t * np.log(p_t / p_s) + (1 - p_t) * np.log((1 - p_t) / (1 - p_s))
    q_s, q_t = softmax(others(z_s, y), temperature), softmax(others(z_t, y), temperature)
    nckd = (q_t * np.log(q_t / q_s)).sum(axis=-1)
    return temperature**2 * (alpha * tckd + beta * nckd)


def nkd(z_s: np.ndarray, z_t: np.ndarray, y: np.ndarray, gamma: float, temperature: float) -> np.ndarray:
    rows = np.arange(len(y))
    of_label = -softmax(z_t)[rows, y] * np.log(softmax(z_s)[rows, y])
    q_s, q_t = softmax(others(z_s, y), temperature), softmax(others(z_t, y), temperature)
    return of_label - gamma * temperature**2 * (q_t * np.log(q_s)).sum(axis=-1)


def dist(z_s: np.ndarray, z_t: np.ndarray, beta: float, gamma: float, temperature: float) -> float:
    p_s, p_t = softmax(z_s, temperature), softmax(z_t, temperature)
    rows = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p_s, p_t, strict=True)])
    columns = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p_s.T, p_t.T, strict=True)])
    return temperature**2 * (beta * (1 - rows) + gamma * (1 - columns))


def standardize(z: np.ndarray) -> np.ndarray:
    return (z - z.mean(axis=-1, keepdims=True)) / (z.std(axis=-1, ddof=1, keepdims=True) + 1e-7)


def bidirectional(z_a: np.ndarray, z_b: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    losses = [cross_entropy(z_a, y), cross_entropy(z_b, y)]
    for i, label in enumerate(y):
        p_a, p_b = softmax(z_a[i]), softmax(z_b[i])
        if p_a[label] > p_b[label]:
            losses[1][i] += (p_a * np.log(p_a / p_b)).sum()
        else:
            losses[0][i] += (p_b * np.log(p_b / p_a)).sum()
    return losses


def teacher_weights(zs_t: list[np.ndarray], y: np.ndarray) -> np.ndarray:
    growth = np.exp([cross_entropy(z_t, y) for z_t in zs_t])
    return (1 - growth / growth.sum(axis=0)) / (len(zs_t) - 1)


def weighted_probabilities(zs_t: np.ndarray, weights: np.ndarray, temperature: float) -> np.ndarray:
    return sum(w[:, None] * softmax(z_t, temperature) for z_t, w in zip(zs_t, weights, strict=True))


def coverage_probabilities(zs_t: np.ndarray, known: np.ndarray, temperature: float) -> np.ndarray:
    p = softmax(zs_t, temperature)
    target = np.zeros(p.shape[1:])
    for c in range(p.shape[2]):
        asked = [k for k in range(len(p)) if known[k, c]] or range(len(p))
        target[:, c] = sum(p[k, :, c] for k in asked) / len(asked)
    return target / target.sum(axis=-1, keepdims=True)


def share_probabilities(zs_t: np.ndarray, shares: np.ndarray, temperature: float) -> np.ndarray:
    p = softmax(zs_t, temperature)
    target = np.zeros(p.shape[1:])
    for c in range(p.shape[2]):
        total = shares[:, c].sum()
        says = shares[:, c] / total if total > 0 else np.full(len(p), 1 / len(p))
        target[:, c] = sum(says[k] * p[k, :, c] for k in range(len(p)))
    return target / target.sum(axis=-1, keepdims=True)
