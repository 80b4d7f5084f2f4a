"""Few numbers, or few rows, in place of many: code books and palettes of vector quantisation."""

from __future__ import annotations

import numpy as np

BOOK_ROUNDS = 10  # of Lloyd's algorithm; more gain nothing on the demo


def code_book(values: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size,) ascending numbers, and for each value the index of the nearest one: Lloyd's algorithm, begun half at quantiles."""
    flat = values.astype(np.float64).ravel()
    ordered = np.sort(flat)
    sums = np.concatenate(([0.0], np.cumsum(ordered)))
    spread = np.linspace(ordered[0], ordered[-1], size - size // 2)  # rare values far from the others count as well
    book = np.sort(np.concatenate((np.quantile(ordered, (np.arange(size // 2) + 0.5) / (size // 2)), spread)))
    for _ in range(BOOK_ROUNDS):
        cuts = np.concatenate(([0], np.searchsorted(ordered, (book[1:] + book[:-1]) / 2), [len(ordered)]))
        numbers = np.diff(cuts)
        book = np.where(numbers > 0, np.diff(sums[cuts]) / np.maximum(numbers, 1), book)
    return book, np.searchsorted((book[1:] + book[:-1]) / 2, flat).reshape(values.shape)


def palette(rows: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """(2^depth, D) rows that stand for (N, D) ones, N >= 2^depth, and the index of the one that stands for each.

    All are halved ``depth`` times at the median of the column that varies most; each part becomes its mean.
    """
    count = len(rows)
    parts = np.resize(np.arange(count), (1, -(-count >> depth) << depth))  # filled up from the beginning: all parts have one size
    for _ in range(depth):
        values = rows[parts]
        widest = values.var(axis=1).argmax(axis=1)
        column = np.take_along_axis(values, widest[:, None, None], axis=2)[..., 0]
        half = parts.shape[1] // 2
        order = np.argpartition(column, half, axis=1)
        parts = np.take_along_axis(parts, order, axis=1).reshape(-1, half)
    labels = np.empty(count, np.int64)
    labels[parts.ravel()] = np.repeat(np.arange(len(parts)), parts.shape[1])
    return rows[parts].mean(axis=1), labels
