from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from trackersplat.errors import ShapeError
from trackersplat.tracking.dis import DISTracker

HEIGHT, WIDTH = 96, 128


def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Smooth random RGB texture, float32 in [0, 255]."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.clip(128 + 3 * (soft - soft.mean()), 0, 255)


def shifted(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """What was at (a, b) is at (a + x, b + y)."""
    moved = cv2.warpAffine(image, np.array([[1, 0, x], [0, 1, y]], dtype=np.float32), image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    return moved.round().astype(np.uint8)


def as_bytes(image: np.ndarray) -> np.ndarray:
    return image.round().astype(np.uint8)


INNER = (slice(12, -12), slice(12, -12))


def test_a_subpixel_shift_is_found_with_pixel_centres_at_a_half() -> None:
    image = texture(0)
    tracks = DISTracker().track([as_bytes(image), shifted(image, 2.3, -1.6)], [4, 7])
    assert (tracks.base, tracks.targets) == (4, (7,))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    expected = np.stack((columns + 0.5 + 2.3, rows + 0.5 - 1.6), axis=-1)
    error = np.linalg.norm(tracks.positions[0] - expected, axis=-1)[INNER]
    assert np.median(error) < 0.05
    assert np.percentile(error, 95) < 0.2
    assert np.median(tracks.visibility[0][INNER]) > 0.99
    assert np.median(tracks.confidence[0][INNER]) > 0.95


def test_targets_far_away_are_reached_over_those_between() -> None:
    image = texture(1)
    tracks = DISTracker().track([as_bytes(image), *(shifted(image, 4.25 * step, 0) for step in range(1, 6))], range(6))
    for index in range(5):
        moved = tracks.positions[index, :, :, 0] - np.arange(WIDTH) - 0.5
        error = np.abs(moved - 4.25 * (index + 1))[12:-12, 12:-40]
        assert np.median(error) < 0.08, f"target {index + 1}"


def test_what_is_covered_in_the_target_is_invisible_and_the_rest_is_not() -> None:
    background, card = as_bytes(texture(2)), as_bytes(texture(3, 32, 24))
    base, target = background.copy(), background.copy()
    base[30:62, 20:44] = card
    target[30:62, 60:84] = card  # far enough to cover other background
    tracks = DISTracker().track([base, target], [0, 1])
    certain = tracks.visibility[0] * tracks.confidence[0]
    assert np.median(certain[34:58, 64:80]) < 0.3  # background that the card now hides
    untouched = np.ones((HEIGHT, WIDTH), dtype=bool)
    untouched[20:72, 8:96] = False
    assert np.median(certain[untouched]) > 0.95


def test_points_that_leave_the_image_are_invisible() -> None:
    image = texture(4)
    tracks = DISTracker().track([as_bytes(image), shifted(image, 10, 0)], [0, 1])
    outside = tracks.positions[0, :, :, 0] > WIDTH
    assert outside[10:-10, -6:].mean() > 0.9
    assert (tracks.visibility[0][outside] == 0).all()


def test_the_same_images_give_the_same_tracks_in_any_number_of_threads() -> None:
    images = [shifted(texture(5), 1.5 * step, 0.5 * step) for step in range(3)]
    tracker = DISTracker()
    alone = tracker.track(images, range(3))
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: tracker.track(images, range(3)), range(6)):
            np.testing.assert_array_equal(other.positions, alone.positions)
            np.testing.assert_array_equal(other.visibility, alone.visibility)


@pytest.mark.parametrize(
    ("images", "frames"),
    [
        ([np.zeros((32, 32, 3), np.uint8)], [0]),
        ([np.zeros((32, 32, 3), np.uint8)] * 2, [0]),
        ([np.zeros((32, 32, 3), np.uint8), np.zeros((32, 31, 3), np.uint8)], [0, 1]),
        ([np.zeros((32, 32, 3), np.float32)] * 2, [0, 1]),
        ([np.zeros((8, 8, 3), np.uint8)] * 2, [0, 1]),
    ],
)
def test_images_that_do_not_fit_are_refused(images: list[np.ndarray], frames: list[int]) -> None:
    with pytest.raises(ShapeError):
        DISTracker().track(images, frames)
