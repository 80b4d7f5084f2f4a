from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from cards import as_bytes, texture, with_card
from made_tracks import made_tracks

from trackersplat.errors import ShapeError
from trackersplat.motion import render_and_match as second_look
from trackersplat.motion.render_and_match import Prediction, doubtful, look_again
from trackersplat.tracking.trackers.dis.matching import Image, Tracks, match
from trackersplat.tracking.tracks import DenseTracks

HEIGHT, WIDTH = 96, 160
START, END = (40, 40), (100, 55)  # of the card's centre, array indices
HALF = (12.5, 14.5)  # of the card's size
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
CENTRES = np.stack((COLUMNS, ROWS), axis=-1).astype(np.float32) + np.float32(0.5)


def under_card(x: float, y: float) -> np.ndarray:
    """(H, W) bool: pixels that a card centred there covers."""
    return (abs(COLUMNS - x) <= HALF[0]) & (abs(ROWS - y) <= HALF[1])


def inner(mask: np.ndarray) -> np.ndarray:
    return cv2.erode(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0


def certainty(tracks: DenseTracks) -> np.ndarray:
    return np.asarray(tracks.visibility[0] * tracks.confidence[0])


def tracks_to(positions: np.ndarray, certain: np.ndarray) -> DenseTracks:
    seen = np.ones((1, *certain.shape), np.float32)
    return made_tracks(2, (7,), positions[None].astype(np.float32), seen, certain[None].astype(np.float32))


CARD, HIDDEN = under_card(*START), under_card(*END)
LOST = CARD | HIDDEN  # the card, and the background that it comes to hide
TRUTH = CENTRES + CARD[..., None] * np.subtract(END, START).astype(np.float32)


@dataclass(frozen=True)
class Scene:
    """A card that jumps over a background, and tracks that are sure of the background alone."""

    target: np.ndarray
    tracks: DenseTracks
    background: np.ndarray
    card: np.ndarray

    def predicted(self, x: float, y: float) -> Prediction:
        """With the card that far from where it really goes."""
        place = END[0] + x, END[1] + y
        way = np.subtract(place, START).astype(np.float32)
        forward, backward = CARD[..., None] * way, under_card(*place)[..., None] * -way
        return Prediction(with_card(self.background, self.card, *place), forward, backward)


@pytest.fixture(scope="module")
def scene() -> Scene:
    background, card = texture(20, HEIGHT, WIDTH), texture(21, 30, 26)
    noise = np.random.default_rng(0).normal(0, 0.1, TRUTH.shape)
    tracks = tracks_to(TRUTH + noise + 7 * CARD[..., None], ~LOST)
    return Scene(with_card(background, card, *END), tracks, background, card)


@pytest.mark.parametrize("off", [(0.0, 0.0), (2.4, -1.7), (9.0, -8.0), (14.0, 0.0)])
def test_what_tracks_lost_is_found_near_where_it_should_be_to_a_fraction_of_a_pixel(scene: Scene, off: tuple[float, float]) -> None:
    found = look_again(scene.tracks, scene.target, scene.predicted(*off))
    assert (found.base, found.targets, found.tracker) == (2, (7,), scene.tracks.tracker)
    assert found.positions.dtype == found.visibility.dtype == found.confidence.dtype == np.float32
    error = np.linalg.norm(found.positions[0] - TRUTH, axis=-1)
    assert np.percentile(error[inner(CARD)], 90) < 0.2
    assert np.median(certainty(found)[inner(CARD)]) > 0.95
    assert (certainty(found)[CARD] > 0.5).mean() > 0.9


def test_what_the_search_does_not_reach_is_not_found(scene: Scene) -> None:
    found = look_again(scene.tracks, scene.target, scene.predicted(18.0, 0.0))  # a twelfth of the width is 13.3 pixels
    assert np.median(certainty(found)[inner(CARD)]) < 0.1


def test_sure_tracks_stay_bit_identical(scene: Scene) -> None:
    found = look_again(scene.tracks, scene.target, scene.predicted(2.4, -1.7))
    for name in ("positions", "visibility", "confidence"):
        np.testing.assert_array_equal(getattr(found, name)[0][~LOST], getattr(scene.tracks, name)[0][~LOST])


def test_a_drifting_base_is_corrected_where_a_sure_track_moved_and_a_match_is_sure(scene: Scene) -> None:
    """Tracks keep the 3 pixels by which the card was off in the base frame, and are sure of it."""
    off = np.array((3, -2), np.float32)
    tracks = replace(scene.tracks, positions=(TRUTH + CARD[..., None] * off)[None], confidence=np.ones((1, HEIGHT, WIDTH), np.float32))
    plain, corrected = (look_again(tracks, scene.target, scene.predicted(*off), drifting=drifting) for drifting in (False, True))
    np.testing.assert_array_equal(plain.positions, tracks.positions)
    error = np.linalg.norm(corrected.positions[0] - TRUTH, axis=-1)
    assert np.percentile(error[inner(CARD)], 90) < 0.2
    np.testing.assert_array_equal(corrected.positions[0][~CARD], tracks.positions[0][~CARD])  # what stayed


def test_what_moved_by_less_than_half_a_pixel_stays_where_a_sure_track_says_though_the_base_drifts(monkeypatch: pytest.MonkeyPatch) -> None:
    ways, size = np.array(((0.49, 0.0), (0.0, -0.49), (0.51, 0.0), (0.4, 0.4)), np.float32), (16, 24)
    again = Tracks(
        np.full((*size, 2), 2.0, np.float32), np.ones(size, np.float32), np.where(np.arange(24) < 12, 0.49, 0.51)[None].repeat(16, 0)
    )
    monkeypatch.setattr(second_look, "match", lambda *images, **options: (again, again))
    nothing, image = np.zeros((*size, 2), np.float32), np.zeros((*size, 3), np.uint8)
    tracks = tracks_to(CENTRES[:16, :24] + ways[np.arange(16) // 4][:, None], np.ones(size))
    found = look_again(tracks, image, Prediction(image, nothing, nothing), drifting=True)
    replaced = np.zeros(size, bool)
    replaced[8:, 12:] = True
    np.testing.assert_array_equal((found.positions[0] == CENTRES[:16, :24] + 2).all(-1), replaced)
    np.testing.assert_array_equal(found.positions[0][~replaced], tracks.positions[0][~replaced])


def test_half_sure_tracks_give_way_to_a_surer_match(scene: Scene) -> None:
    doubtful = replace(scene.tracks, confidence=np.full((1, HEIGHT, WIDTH), 0.7, np.float32))
    found = look_again(doubtful, scene.target, scene.predicted(0.0, 0.0))
    sure = certainty(found) > 0.9
    assert sure[inner(CARD)].all()
    assert np.linalg.norm(found.positions[0] - TRUTH, axis=-1)[CARD & sure].max() < 0.1


def test_what_the_target_hides_is_not_claimed(scene: Scene) -> None:
    found = look_again(scene.tracks, scene.target, scene.predicted(2.4, -1.7))
    assert certainty(found)[inner(HIDDEN)].max() < 1e-3
    assert certainty(found)[HIDDEN].mean() < 0.1


def test_what_leaves_the_image_is_not_seen_there() -> None:
    image = as_bytes(texture(22, HEIGHT, WIDTH))
    way = np.broadcast_to(np.array((20, 0), np.float32), TRUTH.shape)
    shown = np.roll(image, 20, axis=1)
    found = look_again(tracks_to(CENTRES, np.zeros((HEIGHT, WIDTH))), shown, Prediction(shown, way, -way))
    gone = COLUMNS + 20 > WIDTH - 1
    assert (certainty(found)[gone] == 0).all()
    assert certainty(found)[~gone].min() > 0.99
    np.testing.assert_allclose(found.positions[0][~gone], (CENTRES + way)[~gone], atol=1e-4)


def test_positions_that_are_not_numbers_are_survived(scene: Scene) -> None:
    expected = look_again(scene.tracks, scene.target, scene.predicted(2.4, -1.7))
    positions = np.where(LOST[..., None], np.nan, scene.tracks.positions[0])
    positions[CARD] = np.inf
    found = look_again(replace(scene.tracks, positions=positions[None]), scene.target, scene.predicted(2.4, -1.7))
    sure = certainty(found) > 1e-3
    np.testing.assert_array_equal(certainty(found), certainty(expected))
    np.testing.assert_array_equal(found.positions[0][sure], expected.positions[0][sure])
    assert sure[inner(CARD)].all()


def test_tensors_are_looked_at_as_arrays_are(scene: Scene) -> None:
    expected = look_again(scene.tracks, scene.target, scene.predicted(2.4, -1.7))
    fields: dict[str, Any] = {name: torch.from_numpy(getattr(scene.tracks, name)) for name in ("positions", "visibility", "confidence")}
    found = look_again(replace(scene.tracks, **fields), scene.target, scene.predicted(2.4, -1.7))
    for name in fields:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("sure", [True, False])
def test_a_prediction_that_is_entirely_wrong_does_no_harm(scene: Scene, sure: bool) -> None:
    wrong = replace(scene.predicted(0.0, 0.0), image=as_bytes(texture(23, HEIGHT, WIDTH)))
    before = scene.tracks if sure else replace(scene.tracks, confidence=np.zeros((1, HEIGHT, WIDTH), np.float32))
    found = look_again(before, scene.target, wrong)
    known = before.confidence[0] == 1
    assert known.any() == sure
    np.testing.assert_array_equal(found.positions[0][known], before.positions[0][known])
    np.testing.assert_array_equal(certainty(found)[known], 1)
    assert np.percentile(certainty(found)[~known], 99) < 0.5
    assert certainty(found)[~known].max() < 0.7


def test_only_what_tracks_do_not_explain_is_searched_for_and_only_nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block goes right by 8 pixels; another is lost, and a third is sure by a hair."""
    asked: dict[str, Any] = {}

    def watch(a: Image, b: Image, **options: Any) -> tuple[Tracks, Tracks]:
        asked.update(a=a.rgb, b=b.rgb, **options)
        return match(a, b, **options)

    monkeypatch.setattr(second_look, "match", watch)
    block, there, lost, half = (np.zeros((32, 48), bool) for _ in range(4))
    block[4:12, 6:12], there[4:12, 14:20], lost[18:25, 6:13], half[18:25, 20:30] = True, True, True, True
    forward, backward = (mask[..., None] * np.array(way, np.float32) for mask, way in ((block, (8, 0)), (there, (-8, 0))))
    shown, seen = (as_bytes(texture(seed, 32, 48)) for seed in (24, 25))
    certain = np.where(lost, 0.49, np.where(half, 0.5, 1.0))
    look_again(tracks_to(CENTRES[:32, :48] + forward, certain), seen[:, ::-1], Prediction(shown, forward, backward))
    np.testing.assert_array_equal(asked["wanted"][0], block | lost)  # what the block uncovers has no track, though its pixels have
    np.testing.assert_array_equal(asked["wanted"][1], block | lost)
    assert asked["reach"] == 1 / 12
    np.testing.assert_array_equal(asked["a"], shown)
    np.testing.assert_array_equal(asked["b"], seen[:, ::-1])


def test_a_pixel_takes_what_the_match_says_of_the_place_where_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, size = np.random.default_rng(26), (24, 40)
    flow = rng.normal(size=(*size, 2)).astype(np.float32)
    again = Tracks(flow, *(rng.uniform(0.2, 1, size).astype(np.float32) for _ in range(2)))
    monkeypatch.setattr(second_look, "match", lambda *images, **options: (again, again))
    way, image = np.broadcast_to(np.array((8, 3), np.float32), (*size, 2)), np.zeros((*size, 3), np.uint8)
    found = look_again(tracks_to(CENTRES[:24, :40], np.zeros(size)), image, Prediction(image, way, -way))
    here, there = (slice(0, -3), slice(0, -8)), (slice(3, None), slice(8, None))
    np.testing.assert_allclose(found.positions[0][here], CENTRES[:24, :40][there] + again.flow[there], atol=1e-5)
    np.testing.assert_allclose(found.visibility[0][here], again.visibility[there], atol=1e-6)
    np.testing.assert_allclose(found.confidence[0][here], again.confidence[there], atol=1e-6)


def test_pixels_are_reached_by_what_falls_into_them_and_small_gaps_are_closed() -> None:
    positions = np.full((8, 12, 2), np.nan, np.float32)
    positions[0, :4] = (0.0, 0.0), (11.99, 7.99), (12.0, 3.0), (3.0, 8.0)  # two corners, and two that are just outside
    positions[1, :3] = (-0.01, 3.0), (4.0, -0.01), (np.inf, 2.0)
    positions[2, :3] = (5.5, 3.2), (7.9, 3.7), (2.5, 3.5)
    chosen = np.ones((8, 12), bool)
    chosen[2, 2] = False
    expected = np.zeros((8, 12), bool)
    expected[0, 0] = expected[7, 11] = True
    expected[3, 5:8] = True  # of which the middle is a gap of one pixel
    np.testing.assert_array_equal(second_look._reached(positions, chosen), expected)


def test_a_way_back_that_ends_a_pixel_beside_is_trusted_by_half() -> None:
    image = Image(np.zeros((4, 5, 3), np.uint8))
    there = np.zeros((4, 5, 2), np.float32)
    back = np.stack((np.broadcast_to(np.array((0, 1, 2, 0.5, 0), np.float32), (4, 5)), np.zeros((4, 5), np.float32)), axis=-1)
    returning = second_look._returning(image, there, back)
    np.testing.assert_allclose(returning, np.broadcast_to((1, 1 / 2, 1 / 17, 16 / 17, 1), (4, 5)), rtol=1e-6)
    assert returning.dtype == np.float32
    there[..., 0] = 1  # one to the right, where another way back begins
    np.testing.assert_allclose(second_look._returning(image, there, -back)[0, :3], (1, 1 / 2, 16 / 17), rtol=1e-6)


@pytest.mark.parametrize("broken", ["targets", "target", "image", "forward", "backward"])
def test_what_does_not_fit_is_refused(scene: Scene, broken: str) -> None:
    tracks, target, predicted = scene.tracks, scene.target, scene.predicted(0.0, 0.0)
    if broken == "targets":
        fields: dict[str, Any] = {name: np.repeat(getattr(tracks, name), 2, 0) for name in ("positions", "visibility", "confidence")}
        tracks = replace(tracks, targets=(7, 8), **fields)
    elif broken == "target":
        target = target[:, 1:]
    else:
        cropped: dict[str, Any] = {broken: getattr(predicted, broken)[1:]}
        predicted = replace(predicted, **cropped)
    with pytest.raises(ShapeError, match="one target"):
        look_again(tracks, target, predicted)


@pytest.mark.parametrize("on_device", [False, True])
def test_the_doubtful_share_is_that_of_pixels_less_than_half_certain(on_device: bool) -> None:
    visibility = np.ones((2, 2, 5), np.float32)
    confidence = np.array([[0.5, 0.6, 1, 1, 0.4], [0.9, 0.8, 0.49, 0, 1]], np.float32)[None].repeat(2, 0)
    visibility[1, 0, 1:3] = 0.5  # 0.3 and 0.5
    values = [torch.from_numpy(v) if on_device else v for v in (np.zeros((2, 2, 5, 2), np.float32), visibility, confidence)]
    assert doubtful(made_tracks(0, (3, 8), *values)).tolist() == pytest.approx([0.3, 0.4])
