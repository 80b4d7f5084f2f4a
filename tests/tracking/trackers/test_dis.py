from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from cards import HEIGHT, WIDTH, as_bytes, shifted, texture, with_card

from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import create_tracker, tracker_settings
from trackersplat.tracking.tracker import Clip
from trackersplat.tracking.trackers.dis.matching import Image, Match
from trackersplat.tracking.trackers.dis.tracker import DISTracker, _chained, _joined, _more_certain, _Way

INNER = (slice(12, -12), slice(12, -12))
TRACKER: DISTracker = create_tracker("dis", "cpu")  # type: ignore[assignment]


class Found(NamedTuple):
    positions: np.ndarray  # (F, H, W, 2)
    visibility: np.ndarray  # (F, H, W)
    confidence: np.ndarray  # (F, H, W)


def track(images: Sequence[np.ndarray]) -> Found:
    """The answer for one view."""
    found = TRACKER.track_dense(clip(images))
    return Found(found.positions[0].numpy(), found.visibility[0].numpy(), found.confidence[0].numpy())


def clip(*views: Sequence[np.ndarray]) -> Clip:
    return Clip(torch.from_numpy(np.stack([np.stack(images) for images in views])), tuple(range(len(views[0]))))


def test_a_subpixel_shift_is_found_with_pixel_centres_at_a_half() -> None:
    image = texture(0)
    tracks = track([as_bytes(image), shifted(image, 2.3, -1.6)])
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    expected = np.stack((columns + 0.5 + 2.3, rows + 0.5 - 1.6), axis=-1)
    error = np.linalg.norm(tracks.positions[0] - expected, axis=-1)[INNER]
    assert np.median(error) < 0.05
    assert np.percentile(error, 95) < 0.2
    assert np.median(tracks.visibility[0][INNER]) > 0.99
    assert np.median(tracks.confidence[0][INNER]) > 0.95


def test_targets_far_away_are_reached_over_those_between() -> None:
    image = texture(1)
    tracks = track([as_bytes(image), *(shifted(image, 4.25 * step, 0) for step in range(1, 6))])
    for index in range(5):
        moved = tracks.positions[index, :, :, 0] - np.arange(WIDTH) - 0.5
        error = np.abs(moved - 4.25 * (index + 1))[12:-12, 12:-40]
        assert np.median(error) < 0.08, f"target {index + 1}"


def test_what_is_covered_in_the_target_is_invisible_and_the_rest_is_not() -> None:
    background, card = as_bytes(texture(2)), as_bytes(texture(3, 32, 24))
    base, target = background.copy(), background.copy()
    base[30:62, 20:44] = card
    target[30:62, 60:84] = card  # far enough to cover other background
    tracks = track([base, target])
    certain = tracks.visibility[0] * tracks.confidence[0]
    assert np.median(certain[34:58, 64:80]) < 0.3  # background that the card now hides
    untouched = np.ones((HEIGHT, WIDTH), dtype=bool)
    untouched[20:72, 8:96] = False
    assert np.median(certain[untouched]) > 0.95


def test_a_small_square_that_jumps_far_in_one_frame_is_found_to_a_fraction_of_a_pixel() -> None:
    background, card = texture(10, 144, 256), texture(11, 26, 26)
    base, target = with_card(background, card, 70.0, 60.0), with_card(background, card, 110.0, 66.5)
    tracks = track([base, target])
    inner = (slice(51, 70), slice(61, 80))
    moved = tracks.positions[0][inner] - np.stack(np.meshgrid(np.arange(61, 80), np.arange(51, 70)), -1) - 0.5
    assert np.percentile(np.linalg.norm(moved - (40.0, 6.5), axis=-1), 90) < 0.3
    assert np.median((tracks.visibility[0] * tracks.confidence[0])[inner]) > 0.8


def test_a_square_that_turns_and_moves_over_several_frames_is_followed() -> None:
    background, card = texture(12, 144, 192), texture(13, 40, 40)
    images = [with_card(background, card, 50 + 14 * t, 60 + 3 * t, 9 * t) for t in range(6)]
    tracks = track(images)
    rows, columns = np.mgrid[46:75, 36:65]
    offset = np.stack((columns - 50, rows - 60), -1)
    for t in range(1, 6):
        c, s = np.cos(np.radians(9 * t)), np.sin(np.radians(9 * t))
        expected = offset @ np.array([[c, s], [-s, c]]) + (50 + 14 * t + 0.5, 60 + 3 * t + 0.5)
        error = np.linalg.norm(tracks.positions[t - 1][46:75, 36:65] - expected, axis=-1)
        certain = (tracks.visibility[t - 1] * tracks.confidence[t - 1])[46:75, 36:65] > 0.5
        assert np.median(error) < 0.5, f"target {t}"
        assert certain.mean() > 0.6, f"target {t}"
        assert (error[certain] > 2).mean() < 0.02, f"target {t}"


def test_what_is_covered_for_a_frame_is_found_again() -> None:
    background, card = texture(14), texture(15, 48, 30)
    images = [with_card(background, card, x, 48) for x in (-40, 40, 100)]  # over the middle in the second image only
    tracks = track(images)
    hidden = (slice(34, 62), slice(32, 48))
    certain = tracks.visibility * tracks.confidence
    assert np.median(certain[0][hidden]) < 0.1
    assert np.median(certain[1][hidden]) > 0.8
    rows, columns = np.mgrid[hidden]
    assert np.abs(tracks.positions[1][hidden] - np.stack((columns, rows), -1) - 0.5).max() < 0.3


def test_nothing_moves_where_the_images_are_the_same_up_to_noise() -> None:
    image = texture(16)
    noise = np.random.default_rng(17).normal(0, 2, (2, *image.shape))
    tracks = track([as_bytes(image)] * 2)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    unmoved = np.stack((columns, rows), -1) + 0.5
    assert np.abs(tracks.positions - unmoved).max() < 0.01
    tracks = track([as_bytes(np.clip(image + n, 0, 255)) for n in noise])
    assert np.percentile(np.linalg.norm(tracks.positions[0] - unmoved, axis=-1), 99) < 0.2


def test_large_images_are_tracked_like_small_ones() -> None:
    background, card = texture(18, 500, 640), texture(19, 70, 70)
    background = cv2.resize(background[:250, :320], (640, 500), interpolation=cv2.INTER_CUBIC)
    base, target = with_card(background, card, 200.0, 200.0), with_card(background, card, 283.0, 220.0)
    tracks = track([base, target])
    inner = (slice(175, 226), slice(175, 226))
    moved = tracks.positions[0][inner] - np.stack(np.meshgrid(np.arange(175, 226), np.arange(175, 226)), -1) - 0.5
    assert np.percentile(np.linalg.norm(moved - (83.0, 20.0), axis=-1), 90) < 0.3


def test_points_that_leave_the_image_are_invisible() -> None:
    image = texture(4)
    tracks = track([as_bytes(image), shifted(image, 10, 0)])
    outside = tracks.positions[0, :, :, 0] > WIDTH
    assert outside[10:-10, -6:].mean() > 0.9
    assert (tracks.visibility[0][outside] == 0).all()


def test_two_matches_that_contradict_each_other_are_trusted_less_and_two_that_agree_more() -> None:
    def found(x: float, certainty: float) -> Match:
        one = np.ones((HEIGHT, WIDTH), np.float32)
        return Match(np.stack((x * one, 0 * one), -1), one, certainty * one)

    settings = tracker_settings("dis")
    alone = _joined(found(4, 0.8), found(4, 0.0), settings)
    agreed = _joined(found(4, 0.8), found(4.2, 0.7), settings)
    disputed = _joined(found(4, 0.8), found(9, 0.7), settings)
    for joined in (alone, agreed, disputed):
        assert (joined.flow == (4, 0)).all()
    assert agreed.confidence.min() > 0.95
    assert disputed.confidence.max() < 0.6
    assert disputed.confidence.max() < alone.confidence.min() < agreed.confidence.min()
    mild = _joined(found(4, 0.8), found(9, 0.7), replace(settings, contradicted=1.0, disputed=0.0))
    assert mild.confidence.min() > 0.79


def test_a_lasting_change_of_colour_does_not_wear_a_chained_track_out() -> None:
    """The whole image is brighter by 30 in every channel: each target alone says so, however many there are, and none is left behind."""
    base = np.clip(as_bytes(texture(6)), 0, 220)
    before, after = Image(base), Image(base + np.uint8(30))
    one, still = np.ones((HEIGHT, WIDTH), np.float32), np.zeros((HEIGHT, WIDTH, 2), np.float32)
    step, settings = Match(still, 0.9 * one, one), tracker_settings("dis")
    way = _Way(Match(still, one, one), one)
    for _ in range(20):
        way = _chained(way, step, before, after, settings)
        assert np.median(way.match.visibility[INNER]) == pytest.approx(0.9 / (1 + (90 / 80) ** 4), abs=0.01)
        assert way.match.visibility[INNER].min() > 0.25
        np.testing.assert_allclose(way.kept[INNER], 0.9, rtol=1e-4)
    back = _chained(way, step, before, before, settings)
    assert back.match.visibility[INNER].min() > 0.85


def test_a_chained_track_goes_on_from_the_direct_match_where_that_is_more_certain() -> None:
    one = np.ones((HEIGHT, WIDTH), np.float32)
    still, moved = np.zeros((HEIGHT, WIDTH, 2), np.float32), np.ones((HEIGHT, WIDTH, 2), np.float32)
    chained = _Way(Match(still, 0.5 * one, one), 0.9 * one)
    for direct, expected in ((Match(moved, 0.7 * one, one), (1.0, 0.7)), (Match(moved, 0.7 * one, 0.7 * one), (0.0, 0.9))):
        way = _more_certain(direct, chained)
        assert (way.match.flow == expected[0]).all()
        np.testing.assert_allclose(way.kept, expected[1], rtol=1e-6)


def test_the_same_images_give_the_same_tracks_in_any_number_of_threads() -> None:
    images = [shifted(texture(5), 1.5 * step, 0.5 * step) for step in range(3)]
    alone = track(images)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: track(images), range(6)):
            np.testing.assert_array_equal(other.positions, alone.positions)
            np.testing.assert_array_equal(other.visibility, alone.visibility)


def test_several_views_in_one_call_are_tracked_as_each_alone() -> None:
    views = [[shifted(texture(seed, 40, 56), x * step, step) for step in range(3)] for seed, x in ((6, 2.5), (7, -1))]
    together = TRACKER.track_dense(clip(*views))
    for view, images in enumerate(views):
        alone = track(images)
        np.testing.assert_array_equal(together.positions[view], alone.positions)
        np.testing.assert_array_equal(together.visibility[view], alone.visibility)
        np.testing.assert_array_equal(together.confidence[view], alone.confidence)


def test_images_that_are_too_small_for_its_patches_are_refused() -> None:
    with pytest.raises(ShapeError, match="at least 16 pixels a side on the CPU, got 32x15"):
        track([np.zeros((15, 32, 3), np.uint8)] * 2)
