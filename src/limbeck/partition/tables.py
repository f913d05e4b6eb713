"""Tables of how many samples of each class each client gets, and the draw that turns a table into indices.

Most strategies differ only in the table: integers of shape [clients, classes] whose columns sum to at most
the samples of the class. `assign_samples` then decides at random which samples those are.
"""

import numpy as np

from limbeck.partition.labels import ClassCounts


def assign_samples(classes: ClassCounts, table: np.ndarray, *, rng: np.random.Generator) -> list[np.ndarray]:
    """Indices per client that hold exactly the counts of `table`, drawn without replacement.

    Args:
        classes: The classes of all samples.
        table: Samples per client and class, shape [clients, classes]; what a column leaves over stays unused.
        rng: Decides which samples of a class go where.

    Returns:
        One int64 array per client, in ascending order.
    """
    num_clients, num_classes = table.shape
    unused = classes.counts - table.sum(axis=0)
    assert (unused >= 0).all()
    repeats = np.vstack([table, unused]).T
    owners = np.repeat(np.tile(np.arange(num_clients + 1), num_classes), repeats.ravel())
    return collect_by_owner(shuffle_within_classes(classes, rng=rng), owners, num_clients=num_clients)


def shuffle_within_classes(classes: ClassCounts, *, rng: np.random.Generator) -> np.ndarray:
    """All sample indices, class after class, in random order within each class; shape [samples]."""
    shuffled = rng.permutation(classes.num_samples)
    return shuffled[np.argsort(classes.columns[shuffled], kind="stable")]


def collect_by_owner(sample_ids: np.ndarray, owners: np.ndarray, *, num_clients: int) -> list[np.ndarray]:
    """The samples of each client, ascending, where `sample_ids[i]` belongs to `owners[i]`.

    An owner of `num_clients` stands for nobody.
    """
    owner_of_sample = np.empty_like(owners)
    owner_of_sample[sample_ids] = owners
    by_owner = np.argsort(owner_of_sample, kind="stable").astype(np.int64)
    ends = np.cumsum(np.bincount(owners, minlength=num_clients + 1))
    return [part.copy() for part in np.split(by_owner, ends)[:num_clients]]


def apportion(totals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Integers in proportion to `weights` that sum to `totals`, row by row (largest remainder).

    Every integer is its exact share rounded up or down; ties go to the earlier column.

    Args:
        totals: What each row sums to, shape [rows].
        weights: Non-negative, with a positive sum in each row, shape [rows, columns].

    Returns:
        An int64 table of shape [rows, columns].
    """
    exact = totals[:, None] * (weights / weights.sum(axis=1, keepdims=True))
    table = np.floor(exact).astype(np.int64)
    missing = totals - table.sum(axis=1)
    rank = np.argsort(np.argsort(table - exact, axis=1, kind="stable"), axis=1)
    return table + (rank < missing[:, None])


def divide_evenly(counts: np.ndarray, holders: np.ndarray) -> np.ndarray:
    """Each class divided between its holders, equal within one sample.

    The odd samples are dealt on where the class before stopped, so that with every client a holder of every
    class the clients' sizes are equal within one sample as well.

    Args:
        counts: Samples per class, shape [classes].
        holders: Whether a client holds a class, shape [clients, classes]; each class has a holder.

    Returns:
        An int64 table of shape [clients, classes].
    """
    num_holders = holders.sum(axis=0)
    rank = np.cumsum(holders, axis=0) - 1
    odd = counts % num_holders
    start = np.cumsum(odd) - odd
    table = counts // num_holders + ((rank - start) % num_holders < odd)
    return np.where(holders, table, 0).astype(np.int64)


def complete_rounding(
    floors: np.ndarray, row_totals: np.ndarray, column_totals: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """A table rounded down, raised by at most 1 per cell until rows and columns have their totals.

    Each row raises the columns that miss most, ties at random. This succeeds whenever a solution exists
    (Gale-Ryser), and one exists when `floors` is an exact table with these totals, rounded down.

    Args:
        floors: Shape [rows, columns].
        row_totals: Shape [rows].
        column_totals: Shape [columns].
        rng: Breaks ties.

    Returns:
        An int64 table of shape [rows, columns].
    """
    table = floors.astype(np.int64)
    missing_in_columns = column_totals - table.sum(axis=0)
    for row, missing in enumerate(row_totals - table.sum(axis=1)):
        ties = rng.random(len(column_totals))
        raised = np.lexsort((ties, -missing_in_columns))[:missing]
        table[row, raised] += 1
        missing_in_columns[raised] -= 1
    assert not missing_in_columns.any()
    return table


def top_up(table: np.ndarray, *, min_samples: int) -> np.ndarray:
    """The table after each client below `min_samples` was filled from the largest clients.

    The largest client gives from its largest class, never falling below `min_samples` itself. Every step
    fills a client, uses up a giver or uses up a class of a giver, so at most clients * (classes + 2) steps.

    Args:
        table: Shape [clients, classes]; sums to at least clients * `min_samples`.
        min_samples: What every client has afterwards.

    Returns:
        A new table of the same shape and the same column sums.
    """
    filled = table.copy()
    sizes = filled.sum(axis=1)
    for receiver in np.flatnonzero(sizes < min_samples):
        while sizes[receiver] < min_samples:
            giver = sizes.argmax()
            column = filled[giver].argmax()
            spare = sizes[giver] - min_samples
            amount = min(min_samples - sizes[receiver], spare, filled[giver, column])
            filled[[giver, receiver], column] += (-amount, amount)
            sizes[[giver, receiver]] += (-amount, amount)
    return filled


def draw_log_weights(shape: tuple[int, int], *, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """Logarithms of Gamma(alpha) draws: a row's softmax over any of its columns is a Dirichlet(alpha) draw.

    Gamma(a) = Gamma(a + 1) * U^(1/a), and -log U is exponential; the logarithm stays finite where the draws
    themselves vanish (alpha 0.01 gives weights below 1e-300).

    Returns:
        Float64 of the given shape.
    """
    # Below 1e-300 the quotient could overflow, while one weight outdoes all others long before that.
    fall = rng.standard_exponential(shape) / max(alpha, 1e-300)
    return np.log(rng.standard_gamma(alpha + 1.0, shape)) - fall


def softmax_where(log_weights: np.ndarray, is_open: np.ndarray) -> np.ndarray:
    """Rows of non-negative weights, the largest 1, and 0 where a column is closed.

    Args:
        log_weights: Shape [rows, columns].
        is_open: Shape [columns]; at least one is true.

    Returns:
        Float64 of shape [rows, columns].
    """
    masked = np.where(is_open, log_weights, -np.inf)
    return np.exp(masked - masked.max(axis=1, keepdims=True))
