"""What is asked of a match: for which pixels it tries more than the flow, and how far it goes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from cards import texture, with_card

from trackersplat.tracking.trackers.dis import matching
from trackersplat.tracking.trackers.dis.matching import Image, Match, Search, assess
from trackersplat.tracking.trackers.dis.settings import MatchSettings

# Of two cards: the centre in the first image, and the way to the second. No flow follows them.
UPPER, LOWER = ((40, 40), (32, 6)), ((110, 104), (-32, -6))
BETWEEN = 75  # a row that no card touches in either image
LARGE = 3  # times, of images that take their displacements from half their size
SIZE = (144, 192)
SETTINGS = MatchSettings()
REACH = 1 / 6


def match(a: Image, b: Image, masks: tuple[np.ndarray, np.ndarray] | None = None, reach: float = REACH) -> tuple[Match, Match]:
    return matching.match(a, b, Search(reach, masks), SETTINGS)


def flow(a: Image, b: Image) -> np.ndarray:
    return matching.flow(a, b, SETTINGS.flow)


def two_cards(scale: int) -> tuple[Image, Image]:
    height, width = SIZE[0] * scale, SIZE[1] * scale
    a = b = cv2.resize(texture(30, *SIZE), (width, height), interpolation=cv2.INTER_CUBIC)
    for seed, (start, way) in enumerate((UPPER, LOWER), 31):
        card = texture(seed, 26 * scale, 26 * scale)
        a = with_card(a, card, scale * start[0], scale * start[1])
        b = with_card(b, card, scale * (start[0] + way[0]), scale * (start[1] + way[1]))
    return Image(a), Image(b)


@pytest.fixture(scope="module", params=[1, LARGE])
def pair(request: pytest.FixtureRequest) -> tuple[int, Image, Image]:
    scale: int = request.param
    return scale, *two_cards(scale)


def is_found(found: np.ndarray, card: tuple[tuple[int, int], tuple[int, int]], scale: int) -> bool:
    """Whether the middle of a card has its displacement, to a fraction of a pixel; else it is far off."""
    (x, y), way = card
    middle = found[scale * (y - 9) : scale * (y + 10), scale * (x - 9) : scale * (x + 10)]
    error = np.percentile(np.linalg.norm(middle - np.multiply(way, scale), axis=-1), (10, 50, 90))
    assert error[2] < 0.1 or error[1] > 10 * scale
    return bool(error[2] < 0.1)


def back(card: tuple[tuple[int, int], tuple[int, int]]) -> tuple[tuple[int, int], tuple[int, int]]:
    (x, y), (u, v) = card
    return (x + u, y + v), (-u, -v)


def test_without_masks_both_cards_are_found_in_both_directions(pair: tuple[int, Image, Image]) -> None:
    scale, a, b = pair
    there, back_again = match(a, b)
    for card in (UPPER, LOWER):
        assert is_found(there.flow, card, scale)
        assert is_found(back_again.flow, back(card), scale)
        assert not is_found(flow(a, b), card, scale)


def test_where_nothing_is_searched_there_is_the_flow_alone(pair: tuple[int, Image, Image]) -> None:
    _, a, b = pair
    nothing = np.zeros(a.gray.shape, bool)
    found = match(a, b, masks=(nothing, nothing))
    forward, backward = flow(a, b), flow(b, a)
    for tracks, expected in zip(found, (assess(a, b, forward, backward, SETTINGS), assess(b, a, backward, forward, SETTINGS)), strict=True):
        for ours, theirs in zip(tracks, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_only_what_is_in_the_mask_is_more_than_the_flow(pair: tuple[int, Image, Image]) -> None:
    scale, a, b = pair
    rows = np.arange(a.gray.shape[0])
    upper = np.broadcast_to((rows < BETWEEN * scale)[:, None], a.gray.shape)
    there, back_again = match(a, b, masks=(upper, upper))
    assert is_found(there.flow, UPPER, scale)
    assert is_found(back_again.flow, back(UPPER), scale)
    outside = rows >= BETWEEN * scale + 3  # the margin that is matched with it
    np.testing.assert_array_equal(there.flow[outside], flow(a, b)[outside])
    np.testing.assert_array_equal(back_again.flow[outside], flow(b, a)[outside])


def test_each_image_has_its_own_mask(pair: tuple[int, Image, Image]) -> None:
    scale, a, b = pair
    everything, nothing = np.ones(a.gray.shape, bool), np.zeros(a.gray.shape, bool)
    there, back_again = match(a, b, masks=(everything, nothing))
    np.testing.assert_array_equal(back_again.flow, flow(b, a))
    assert is_found(there.flow, UPPER, scale)
    there, back_again = match(a, b, masks=(nothing, everything))
    np.testing.assert_array_equal(there.flow, flow(a, b))
    assert is_found(back_again.flow, back(UPPER), scale)


@pytest.mark.parametrize(("reach", "far_enough"), [(1 / 8, False), (1 / 6, True)])
def test_a_search_ends_at_its_reach(pair: tuple[int, Image, Image], reach: float, far_enough: bool) -> None:
    """The cards move by a sixth of the width."""
    scale, a, b = pair
    there, _ = match(a, b, reach=reach)
    assert is_found(there.flow, UPPER, scale) == far_enough


def test_the_search_itself_finds_nothing_beyond_its_reach() -> None:
    a, b = two_cards(1)
    everything = np.ones(a.gray.shape, bool)
    for reach, radius in ((1 / 6, 16), (1 / 12, 8), (0.001, 1)):  # of the 96 pixels that are searched
        for found in matching._searched(a, b, everything, reach, SETTINGS.search, SETTINGS.choice.margin_px):
            assert np.abs(found).max() == 2 * radius


def test_large_images_hand_the_search_to_their_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = two_cards(LARGE)
    halved, asked = matching._halved, []

    def watch(*arguments: Any) -> list[np.ndarray]:
        asked.append(arguments[2:])
        return halved(*arguments)

    monkeypatch.setattr(matching, "_halved", watch)
    search = Search(1 / 9, (np.ones(a.gray.shape, bool), np.zeros(a.gray.shape, bool)))
    matching.match(a, b, search, SETTINGS)
    assert asked == [(search, SETTINGS)]


def test_halves_are_searched_in_the_masks_of_the_whole_images() -> None:
    a, b = (Image(np.ascontiguousarray(image.rgb[:-1, :-1])) for image in two_cards(LARGE))  # of an odd size
    height, width = a.gray.shape
    nothing = np.zeros((height, width), bool)
    factor = np.array((width / ((width + 1) // 2), height / ((height + 1) // 2)), np.float32)

    def whole(field: np.ndarray) -> np.ndarray:
        return cv2.resize(field, (width, height), interpolation=cv2.INTER_NEAREST) * factor

    direct = whole(flow(a.half, b.half)), whole(flow(b.half, a.half))
    for ours, theirs in zip(matching._halved(a, b, Search(REACH, (nothing, nothing)), SETTINGS), direct, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    upper = nothing.copy()
    upper[: BETWEEN * LARGE] = True
    there, back_again = matching._halved(a, b, Search(REACH, (upper, nothing)), SETTINGS)
    np.testing.assert_array_equal(back_again, direct[1])
    below = slice(BETWEEN * LARGE + 2 * 4, None)  # a margin of pixels of the half
    np.testing.assert_array_equal(there[below], direct[0][below])
    (x, y), way = UPPER
    middle = there[LARGE * (y - 9) : LARGE * (y + 10), LARGE * (x - 9) : LARGE * (x + 10)]
    assert np.percentile(np.linalg.norm(middle - np.multiply(way, LARGE), axis=-1), 90) < 1
