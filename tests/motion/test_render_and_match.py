from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from cards import as_bytes, texture, with_card
from made_tracks import MADE, made_tracks
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.motion.render_and_match import correct_together, correct_tracks, unreliable_shares
from trackersplat.motion.render_request import Prediction
from trackersplat.motion.settings import RenderAndMatchSettings
from trackersplat.tracking.registry import create_matcher
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.tracks import DenseTracks

SETTINGS = RenderAndMatchSettings()
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
    return (tracks.visibility[0] * tracks.confidence[0]).numpy()


def correct(tracks: DenseTracks, photograph: np.ndarray, predicted: Prediction, **options: Any) -> DenseTracks:
    """With the DIS matcher."""
    image = torch.from_numpy(np.ascontiguousarray(photograph))
    return correct_tracks(tracks, image, predicted, create_matcher("dis", "cpu"), SETTINGS, **options)


def prediction(image: np.ndarray, forward: np.ndarray, backward: np.ndarray) -> Prediction:
    image, forward, backward = (np.ascontiguousarray(values) for values in (image, forward, backward))
    return Prediction(torch.from_numpy(image), torch.from_numpy(forward).float(), torch.from_numpy(backward).float())


class GivenMatcher:
    """Answers with a given motion, and keeps what it was asked."""

    device = torch.device("cpu")

    def __init__(self, flow: np.ndarray, visibility: np.ndarray, confidence: np.ndarray) -> None:
        height, width = visibility.shape
        positions = CENTRES[:height, :width] + flow
        parts = (torch.from_numpy(np.asarray(values, np.float32))[None, None] for values in (positions, visibility, confidence))
        self._motion = PointMotion(*parts)
        self.asked: dict[str, Any] = {}

    def match(self, source: Tensor, target: Tensor, *, search: tuple[Tensor, Tensor] | None = None, reach: float = 0.0) -> PointMotion:
        self.asked = {"source": source, "target": target, "search": search, "reach": reach}
        return self._motion


def tracks_to(positions: np.ndarray, certain: np.ndarray) -> DenseTracks:
    return made_tracks(2, (7,), positions[None], np.ones((1, *certain.shape)), certain[None])


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
        return prediction(with_card(self.background, self.card, *place), forward, backward)


@pytest.fixture(scope="module")
def scene() -> Scene:
    background, card = texture(20, HEIGHT, WIDTH), texture(21, 30, 26)
    noise = np.random.default_rng(0).normal(0, 0.1, TRUTH.shape)
    tracks = tracks_to(TRUTH + noise + 7 * CARD[..., None], ~LOST)
    return Scene(with_card(background, card, *END), tracks, background, card)


@pytest.mark.parametrize("off", [(0.0, 0.0), (2.4, -1.7), (9.0, -8.0), (14.0, 0.0)])
def test_lost_points_are_found_near_where_it_should_be_to_a_fraction_of_a_pixel(scene: Scene, off: tuple[float, float]) -> None:
    found = correct(scene.tracks, scene.target, scene.predicted(*off))
    assert (found.base, found.targets, found.hidden_weight, found.provenance) == (2, (7,), 0.1, MADE)
    assert found.positions.dtype == found.visibility.dtype == found.confidence.dtype == torch.float32
    error = np.linalg.norm(found.positions[0].numpy() - TRUTH, axis=-1)
    assert np.percentile(error[inner(CARD)], 90) < 0.2
    assert np.median(certainty(found)[inner(CARD)]) > 0.95
    assert (certainty(found)[CARD] > 0.5).mean() > 0.9


def test_what_the_search_does_not_reach_is_not_found(scene: Scene) -> None:
    found = correct(scene.tracks, scene.target, scene.predicted(18.0, 0.0))  # a twelfth of the width is 13.3 pixels
    assert np.median(certainty(found)[inner(CARD)]) < 0.1


def test_reliable_tracks_stay_bit_identical(scene: Scene) -> None:
    found = correct(scene.tracks, scene.target, scene.predicted(2.4, -1.7))
    for name in ("positions", "visibility", "confidence"):
        np.testing.assert_array_equal(getattr(found, name)[0][~LOST], getattr(scene.tracks, name)[0][~LOST])


def test_a_drifting_base_is_corrected_where_a_reliable_track_moved_and_the_match_is_reliable(scene: Scene) -> None:
    """Tracks keep the 3 pixels by which the card was off in the base frame, and are sure of it."""
    off = np.array((3, -2), np.float32)
    tracks = tracks_to(TRUTH + CARD[..., None] * off, np.ones((HEIGHT, WIDTH)))
    plain, corrected = (correct(tracks, scene.target, scene.predicted(*off), drifting=drifting) for drifting in (False, True))
    np.testing.assert_array_equal(plain.positions, tracks.positions)
    error = np.linalg.norm(corrected.positions[0].numpy() - TRUTH, axis=-1)
    assert np.percentile(error[inner(CARD)], 90) < 0.2
    np.testing.assert_array_equal(corrected.positions[0][~CARD], tracks.positions[0][~CARD])  # what stayed


def test_in_a_drifting_base_a_reliable_track_stays_where_it_moved_by_less_than_half_a_pixel() -> None:
    ways, size = np.array(((0.49, 0.0), (0.0, -0.49), (0.51, 0.0), (0.4, 0.4)), np.float32), (16, 24)
    trust = np.where(np.arange(24) < 12, 0.49, 0.51)[None].repeat(16, 0)
    matcher = GivenMatcher(np.full((*size, 2), 2.0, np.float32), np.ones(size, np.float32), trust)
    nothing, image = np.zeros((*size, 2), np.float32), np.zeros((*size, 3), np.uint8)
    tracks = tracks_to(CENTRES[:16, :24] + ways[np.arange(16) // 4][:, None], np.ones(size))
    found = correct_tracks(tracks, torch.from_numpy(image), prediction(image, nothing, nothing), matcher, SETTINGS, drifting=True)
    replaced = np.zeros(size, bool)
    replaced[8:, 12:] = True
    np.testing.assert_array_equal((found.positions[0].numpy() == CENTRES[:16, :24] + 2).all(-1), replaced)
    np.testing.assert_array_equal(found.positions[0][~replaced], tracks.positions[0][~replaced])


def test_tracks_give_way_to_a_more_certain_match(scene: Scene) -> None:
    uncertain = replace(scene.tracks, confidence=torch.full((1, HEIGHT, WIDTH), 0.7))
    found = correct(uncertain, scene.target, scene.predicted(0.0, 0.0))
    sure = certainty(found) > 0.9
    assert sure[inner(CARD)].all()
    assert np.linalg.norm(found.positions[0].numpy() - TRUTH, axis=-1)[CARD & sure].max() < 0.1


def test_what_the_target_hides_is_not_claimed(scene: Scene) -> None:
    found = correct(scene.tracks, scene.target, scene.predicted(2.4, -1.7))
    assert certainty(found)[inner(HIDDEN)].max() < 1e-3
    assert certainty(found)[HIDDEN].mean() < 0.1


def test_what_leaves_the_image_is_not_seen_there() -> None:
    image = as_bytes(texture(22, HEIGHT, WIDTH))
    way = np.broadcast_to(np.array((20, 0), np.float32), TRUTH.shape)
    shown = np.roll(image, 20, axis=1)
    found = correct(tracks_to(CENTRES, np.zeros((HEIGHT, WIDTH))), shown, prediction(shown, way, -way))
    gone = COLUMNS + 20 > WIDTH - 1
    assert (certainty(found)[gone] == 0).all()
    assert certainty(found)[~gone].min() > 0.99
    np.testing.assert_allclose(found.positions[0].numpy()[~gone], (CENTRES + way)[~gone], atol=1e-4)


def test_positions_that_are_not_numbers_are_survived(scene: Scene) -> None:
    expected = correct(scene.tracks, scene.target, scene.predicted(2.4, -1.7))
    positions = np.where(LOST[..., None], np.float32(np.nan), scene.tracks.positions[0].numpy())
    positions[CARD] = np.inf
    found = correct(replace(scene.tracks, positions=torch.from_numpy(positions)[None]), scene.target, scene.predicted(2.4, -1.7))
    sure = certainty(found) > 1e-3
    np.testing.assert_array_equal(certainty(found), certainty(expected))
    np.testing.assert_array_equal(found.positions[0][sure], expected.positions[0][sure])
    assert sure[inner(CARD)].all()


@pytest.mark.parametrize("reliable", [True, False])
def test_a_prediction_that_is_entirely_wrong_does_no_harm(scene: Scene, reliable: bool) -> None:
    wrong = replace(scene.predicted(0.0, 0.0), image=torch.from_numpy(as_bytes(texture(23, HEIGHT, WIDTH))))
    before = scene.tracks if reliable else replace(scene.tracks, confidence=torch.zeros(1, HEIGHT, WIDTH))
    found = correct(before, scene.target, wrong)
    known = before.confidence[0].numpy() == 1
    assert known.any() == reliable
    np.testing.assert_array_equal(found.positions[0][known], before.positions[0][known])
    np.testing.assert_array_equal(certainty(found)[known], 1)
    assert np.percentile(certainty(found)[~known], 99) < 0.5
    assert certainty(found)[~known].max() < 0.7


def test_only_pixels_that_tracks_do_not_explain_are_searched_for_and_only_nearby() -> None:
    """A block goes right by 8 pixels; another is lost, and a third is just reliable."""
    size = (32, 48)
    block, there, lost, half = (np.zeros(size, bool) for _ in range(4))
    block[4:12, 6:12], there[4:12, 14:20], lost[18:25, 6:13], half[18:25, 20:30] = True, True, True, True
    forward, backward = (mask[..., None] * np.array(way, np.float32) for mask, way in ((block, (8, 0)), (there, (-8, 0))))
    shown, seen = (torch.from_numpy(as_bytes(texture(seed, *size))) for seed in (24, 25))
    certain = np.where(lost, 0.49, np.where(half, 0.5, 1.0))
    matcher = GivenMatcher(np.zeros((*size, 2)), np.ones(size), np.ones(size))
    correct_tracks(tracks_to(CENTRES[:32, :48] + forward, certain), seen, prediction(shown.numpy(), forward, backward), matcher, SETTINGS)
    for mask in matcher.asked["search"]:
        np.testing.assert_array_equal(mask, block | lost)  # what the block uncovers has no track, though its pixels have
    assert matcher.asked["reach"] == 1 / 12
    assert torch.equal(matcher.asked["source"], shown)
    assert torch.equal(matcher.asked["target"], seen)


def test_a_pixel_takes_what_the_match_finds_at_the_place_where_it_should_be() -> None:
    rng, size = np.random.default_rng(26), (24, 40)
    flow = rng.normal(size=(*size, 2)).astype(np.float32)
    visibility, confidence = (rng.uniform(0.2, 1, size).astype(np.float32) for _ in range(2))
    way, image = np.broadcast_to(np.array((8, 3), np.float32), (*size, 2)), np.zeros((*size, 3), np.uint8)
    lost, matcher = tracks_to(CENTRES[:24, :40], np.zeros(size)), GivenMatcher(flow, visibility, confidence)
    found = correct_tracks(lost, torch.from_numpy(image), prediction(image, way, -way), matcher, SETTINGS)
    here, there = (slice(0, -3), slice(0, -8)), (slice(3, None), slice(8, None))
    np.testing.assert_allclose(found.positions[0].numpy()[here], CENTRES[:24, :40][there] + flow[there], atol=1e-5)
    np.testing.assert_allclose(found.visibility[0].numpy()[here], visibility[there], atol=1e-6)
    np.testing.assert_allclose(found.confidence[0].numpy()[here], confidence[there], atol=1e-6)


@pytest.mark.parametrize("broken", ["targets", "target", "image", "forward", "backward"])
def test_what_does_not_fit_is_refused(scene: Scene, broken: str) -> None:
    tracks, target, predicted = scene.tracks, scene.target, scene.predicted(0.0, 0.0)
    if broken == "targets":
        fields: dict[str, Any] = {name: getattr(tracks, name).repeat_interleave(2, 0) for name in ("positions", "visibility", "confidence")}
        tracks = replace(tracks, targets=(7, 8), **fields)
    elif broken == "target":
        target = target[:, 1:]
    else:
        cropped: dict[str, Any] = {broken: getattr(predicted, broken)[1:]}
        predicted = replace(predicted, **cropped)
    with pytest.raises(ShapeError, match="one target"):
        correct(tracks, target, predicted)


def test_the_unreliable_share_is_that_of_pixels_less_than_half_certain() -> None:
    visibility = np.ones((2, 2, 5), np.float32)
    confidence = np.array([[0.5, 0.6, 1, 1, 0.4], [0.9, 0.8, 0.49, 0, 1]], np.float32)[None].repeat(2, 0)
    visibility[1, 0, 1:3] = 0.5  # 0.3 and 0.5
    tracks = made_tracks(0, (3, 8), np.zeros((2, 2, 5, 2)), visibility, confidence)
    assert unreliable_shares([tracks, tracks], SETTINGS).tolist() == [pytest.approx([0.3, 0.4])] * 2
    assert unreliable_shares([tracks], replace(SETTINGS, reliable_certainty=0.45)).tolist() == [pytest.approx([0.2, 0.3])]


class GivenMatchers(GivenMatcher):
    """The same for many pairs at once: the second pair goes further by a pixel."""

    def match_together(
        self, sources: Tensor, targets: Tensor, *, search: tuple[Tensor, Tensor] | None = None, reach: float = 0.0
    ) -> PointMotion:
        self.asked = {"source": sources, "target": targets, "search": search, "reach": reach}
        positions = torch.cat([self._motion.positions + index for index in range(len(sources))])
        others = (values.repeat(len(sources), 1, 1, 1) for values in (self._motion.visibility, self._motion.confidence))
        return PointMotion(positions, *others)


def test_pairs_corrected_together_are_corrected_as_one_by_one() -> None:
    generator = np.random.default_rng(5)
    certain = [generator.uniform(0, 1, (HEIGHT, WIDTH)) for _ in range(2)]
    tracks = [tracks_to(CENTRES + index, values) for index, values in enumerate(certain)]
    ways = [generator.normal(0, 1, (HEIGHT, WIDTH, 2)) for _ in range(2)]
    images = [as_bytes(texture(seed, HEIGHT, WIDTH)) for seed in (1, 2)]
    photographs = [torch.from_numpy(as_bytes(texture(seed, HEIGHT, WIDTH))) for seed in (3, 4)]
    predicted = [prediction(image, way, -way) for image, way in zip(images, ways, strict=True)]
    matcher = GivenMatchers(np.full((HEIGHT, WIDTH, 2), 0.25), np.ones((HEIGHT, WIDTH)), np.full((HEIGHT, WIDTH), 0.9))
    found = correct_together(tracks, photographs, predicted, matcher, SETTINGS, drifting=True)  # type: ignore[arg-type]
    together = matcher.asked
    for index in (0, 1):
        single = GivenMatcher(np.full((HEIGHT, WIDTH, 2), 0.25 + index), np.ones((HEIGHT, WIDTH)), np.full((HEIGHT, WIDTH), 0.9))
        alone = correct_tracks(tracks[index], photographs[index], predicted[index], single, SETTINGS, drifting=True)  # type: ignore[arg-type]
        for name in ("positions", "visibility", "confidence"):
            torch.testing.assert_close(getattr(found[index], name), getattr(alone, name))
        for name in ("source", "target"):
            assert torch.equal(together[name][index], single.asked[name])
        assert all(torch.equal(many[index], one) for many, one in zip(together["search"], single.asked["search"], strict=True))
    assert not torch.equal(found[0].positions, found[1].positions)
