"""Code books and palettes stand for what they replace as closely as they can."""

from __future__ import annotations

import numpy as np

from trackersplat.gaussians.exporters.palettes import code_book, palette


def test_few_different_numbers_are_kept_exactly() -> None:
    values = np.repeat(np.array([-3.0, 0.5, 2.0, 100.0]), [50, 3, 1, 7])[:, None]
    book, codes = code_book(values, 256)
    np.testing.assert_array_equal(book[codes], values)
    assert (np.diff(book) >= 0).all()


def test_each_number_gets_the_nearest_code_and_rare_ones_far_away_get_their_own() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(size=5000), [40.0, -60.0]])
    book, codes = code_book(values, 256)
    np.testing.assert_array_equal(np.abs(book[codes] - values), np.abs(book[None] - values[:, None]).min(axis=1))
    np.testing.assert_array_equal(book[codes[-2:]], [40.0, -60.0])
    assert np.abs(book[codes] - values).max() < 100 / 127 / 2


def test_a_palette_has_a_row_for_each_cluster() -> None:
    centres = np.random.default_rng(1).normal(size=(8, 6)) * 10
    number = np.arange(80) % 8
    rows, labels = palette(centres[number], 3)
    assert rows.shape == (8, 6)
    np.testing.assert_allclose(rows[labels], centres[number], atol=1e-12)


def test_each_row_is_stood_for_by_the_mean_of_its_part_also_where_parts_are_filled_up() -> None:
    given = np.random.default_rng(2).normal(size=(37, 3))
    rows, labels = palette(given, 3)
    assert rows.shape == (8, 3)
    assert ((rows[labels] - given) ** 2).mean() < 0.4 * given.var()
