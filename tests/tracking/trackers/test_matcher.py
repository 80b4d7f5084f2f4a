"""Plain flow between frames far apart, and a search where it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cards import as_bytes, shifted, texture, with_card

from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import create_matcher
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.trackers.dis.matching import Image, Search, assess, flow, match
from trackersplat.tracking.trackers.dis.settings import MatchSettings

MATCHER = create_matcher("dis", "cpu")
SETTINGS = MatchSettings()


def matched(source: np.ndarray, target: np.ndarray, **how: object) -> PointMotion:
    return MATCHER.match(torch.from_numpy(source), torch.from_numpy(target), **how)  # type: ignore[arg-type]


def test_what_stayed_is_known_to_have_stayed_and_what_left_is_not() -> None:
    base = as_bytes(texture(1, 80, 120))
    target = base.copy()
    target[20:60, 30:70] = as_bytes(texture(2, 40, 40))  # something else stands there now
    found = matched(base, target)
    assert found.positions.shape == (1, 1, 80, 120, 2)
    rows, columns = np.mgrid[:80, :120]
    shift = np.linalg.norm(found.positions[0, 0].numpy() - np.stack((columns, rows), -1) - 0.5, axis=-1)
    certainty = (found.visibility * found.confidence)[0, 0].numpy()
    changed, away = np.zeros((2, 80, 120), bool)
    changed[25:55, 35:65] = True
    away[12:68, 22:78] = True
    assert shift[~away].max() < 0.2
    assert certainty[~away].min() > 0.9
    assert np.mean(certainty[changed] > 0.5) < 0.05


def test_without_a_reach_it_is_the_flow_confirmed_by_the_flow_back() -> None:
    source, target = as_bytes(texture(3, 48, 64)), shifted(texture(3, 48, 64), 2.5, -1)
    a, b = Image(source), Image(target)
    expected = assess(a, b, flow(a, b, SETTINGS.flow), flow(b, a, SETTINGS.flow), SETTINGS)
    everywhere = torch.ones(48, 64, dtype=torch.bool)
    for found in (matched(source, target), matched(source, target, search=(everywhere, everywhere))):
        np.testing.assert_array_equal(found.positions[0, 0], a.grid + 0.5 + expected.flow)
        np.testing.assert_array_equal(found.visibility[0, 0], expected.visibility)
        np.testing.assert_array_equal(found.confidence[0, 0], expected.confidence)


def test_with_a_reach_it_searches_in_its_masks() -> None:
    background, card = texture(10, 144, 256), texture(11, 26, 26)
    source, target = with_card(background, card, 70.0, 60.0), with_card(background, card, 110.0, 66.0)
    here, there = torch.zeros(2, 144, 256, dtype=torch.bool)
    here[40:80, 50:90] = there[46:86, 90:130] = True
    found = matched(source, target, search=(here, there), reach=1 / 4)
    np.testing.assert_allclose(found.positions[0, 0, 60, 70], (110.5, 66.5), atol=0.2)
    expected, _ = match(Image(source), Image(target), Search(1 / 4, (here.numpy(), there.numpy())), SETTINGS)
    np.testing.assert_array_equal(found.confidence[0, 0], expected.confidence)
    elsewhere = matched(source, target, search=(~here, ~there), reach=1 / 4)
    assert np.linalg.norm(elsewhere.positions[0, 0, 60, 70] - torch.tensor((110.5, 66.5))) > 10


def test_what_is_no_image_or_mask_of_the_size_is_refused() -> None:
    image = torch.zeros(32, 40, 3, dtype=torch.uint8)
    mask = torch.ones(32, 40, dtype=torch.bool)
    for source, target in ((image, image[1:]), (image.float(), image), (image.permute(2, 0, 1), image.permute(2, 0, 1))):
        with pytest.raises(ShapeError, match="DIS matches"):
            MATCHER.match(source, target)
    with pytest.raises(ShapeError, match="DIS matches"):
        MATCHER.match(image, image, search=(mask, mask[1:]), reach=0.1)
