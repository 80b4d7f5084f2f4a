"""The batched tracker and matcher in plain PyTorch: exact motions of textures, occlusion, independence of the views in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from cards import as_bytes, shifted, texture, with_card

from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import create_matcher, create_tracker
from trackersplat.tracking.tracker import Clip
from trackersplat.tracking.trackers.dis_gpu import batch, exhaustive, patches, variational
from trackersplat.tracking.trackers.dis_gpu.certainty import Match, supported
from trackersplat.tracking.trackers.dis_gpu.images import Images, doubled, joined, sample
from trackersplat.tracking.trackers.dis_gpu.matcher import BatchedDISMatcher
from trackersplat.tracking.trackers.dis_gpu.settings import PatchSettings, SearchSettings, SupportSettings, TrackSettings
from trackersplat.tracking.trackers.dis_gpu.tracker import BatchedDISTracker, _chained, _joined, _more_certain, _Way

HEIGHT, WIDTH = 48, 64
CPU = torch.device("cpu")
INNER = (slice(8, -8), slice(8, -8))
TRACKER: BatchedDISTracker = create_tracker("dis-gpu", "cpu")  # type: ignore[assignment]
MATCHER: BatchedDISMatcher = create_matcher("dis-gpu", "cpu")  # type: ignore[assignment]


def clip(*views: Sequence[np.ndarray]) -> Clip:
    return Clip(torch.from_numpy(np.stack([np.stack(images) for images in views])), tuple(range(len(views[0]))))


def grid() -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1) + 0.5


def turned(image: np.ndarray, degrees: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The image turned and enlarged about its middle; and where its pixels go (H, W, 2), centres at +0.5."""
    matrix = cv2.getRotationMatrix2D(((WIDTH - 1) / 2, (HEIGHT - 1) / 2), degrees, scale)
    moved = cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return as_bytes(np.clip(moved, 0, 255)), (grid() - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5


def test_subpixel_shifts_are_found_in_every_target_with_pixel_centres_at_a_half() -> None:
    image = texture(0, HEIGHT, WIDTH)
    found = TRACKER.track_dense(clip([as_bytes(image), shifted(image, 2.3, -1.6), shifted(image, 4.6, -3.2)]))
    assert found.positions.shape == (1, 2, HEIGHT, WIDTH, 2)
    for index in (0, 1):
        error = np.linalg.norm(found.positions[0, index].numpy() - grid() - np.multiply((2.3, -1.6), index + 1), axis=-1)[INNER]
        assert np.median(error) < 0.06
        assert np.percentile(error, 90) < 0.25
        assert found.visibility[0, index][INNER].median() > 0.98
        assert found.confidence[0, index][INNER].median() > 0.95


def test_what_turns_and_grows_is_followed() -> None:
    image = texture(1, HEIGHT, WIDTH)
    target, expected = turned(image, 4.0, 1.04)
    found = TRACKER.track_dense(clip([as_bytes(image), target]))
    error = np.linalg.norm(found.positions[0, 0].numpy() - expected, axis=-1)[INNER]
    assert np.median(error) < 0.1
    assert np.percentile(error, 90) < 0.3


def test_what_is_covered_is_invisible_and_what_jumps_is_found() -> None:
    background, card = texture(10, 96, 144), texture(11, 28, 28)
    found = TRACKER.track_dense(clip([with_card(background, card, 30.0, 46.0), with_card(background, card, 50.0, 51.5)]))
    certain = (found.visibility * found.confidence)[0, 0].numpy()
    columns, rows = np.meshgrid(np.arange(20, 41), np.arange(36, 57))
    moved = found.positions[0, 0, 36:57, 20:41].numpy() - np.stack((columns, rows), axis=-1) - 0.5
    assert np.percentile(np.linalg.norm(moved - (20.0, 5.5), axis=-1), 90) < 0.4
    assert np.median(certain[36:57, 20:41]) > 0.8
    assert np.median(certain[44:60, 48:62]) < 0.3  # background that the card now hides
    assert np.median(certain[8:88, 80:136]) > 0.95  # and that nothing touches


def test_points_that_leave_the_image_are_invisible() -> None:
    image = texture(4, HEIGHT, WIDTH)
    found = TRACKER.track_dense(clip([as_bytes(image), shifted(image, 6, 0)]))
    outside = found.positions[0, 0, :, :, 0] > WIDTH
    assert outside[10:-10, -3:].float().mean() > 0.9
    assert (found.visibility[0, 0][outside] == 0).all()


def test_each_view_of_a_batch_is_tracked_as_if_it_were_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [texture(seed, HEIGHT, WIDTH) for seed in (5, 6, 7)]
    views = [[as_bytes(image), shifted(image, *way)] for image, way in zip(images, ((1.5, 2), (0, 0), (-3, 0.5)), strict=True)]
    together = TRACKER.track_dense(clip(*views))
    monkeypatch.setattr(batch, "MEMORY", 1)  # one view at a time
    assert [part.stop - part.start for part in batch.parts(3, HEIGHT, WIDTH, CPU)] == [1, 1, 1]
    apart = TRACKER.track_dense(clip(*views))
    for name in ("positions", "visibility", "confidence"):
        torch.testing.assert_close(getattr(together, name), getattr(apart, name), rtol=1e-4, atol=1e-4)


def test_views_go_together_in_parts_of_nearly_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MEMORY", 7 * batch._BYTES_PER_PIXEL * 100)
    assert [(part.start, part.stop) for part in batch.parts(20, 10, 10, CPU)] == [(0, 7), (7, 14), (14, 21)]
    assert [(part.start, part.stop) for part in batch.parts(8, 10, 10, CPU)] == [(0, 4), (4, 8)]


def test_a_large_gpu_takes_more_views_at_once_and_a_small_one_no_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    for total, expected in ((8 << 30, 2 << 30), (128 << 30, 8 << 30)):
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, total=total: SimpleNamespace(total_memory=total))
        assert batch.working_memory(torch.device("cuda")) == expected


def test_large_images_take_the_way_back_from_half_their_size() -> None:
    settings = replace(TrackSettings().match.choice, both_side_px=40)
    large = replace(TrackSettings(), match=replace(TrackSettings().match, choice=settings))
    image = texture(8, HEIGHT, WIDTH)
    found = BatchedDISTracker(torch.device("cpu"), large).track_dense(
        clip([as_bytes(image), shifted(image, 2, 1), shifted(image, 3.5, 2.25)])
    )
    for index, way in enumerate(((2, 1), (3.5, 2.25))):
        error = np.linalg.norm(found.positions[0, index].numpy() - grid() - way, axis=-1)[INNER]
        assert np.median(error) < 0.08
        assert (found.visibility * found.confidence)[0, index][INNER].median() > 0.9


def test_images_too_small_or_elsewhere_are_refused() -> None:
    with pytest.raises(ShapeError, match="at least 16 pixels a side on cpu, got 64x12 on cpu"):
        TRACKER.track_dense(Clip(torch.zeros(1, 2, 12, 64, 3, dtype=torch.uint8), (0, 1)))
    with pytest.raises(ShapeError, match=r"expected torch.uint8 \(1, 20, 30, 3\), got torch.float32"):
        MATCHER.match(torch.zeros(20, 30, 3, dtype=torch.uint8), torch.zeros(20, 30, 3))


def test_pairs_that_are_matched_together_are_matched_as_one_by_one() -> None:
    images = [texture(seed, HEIGHT, WIDTH) for seed in (9, 10)]
    sources = torch.from_numpy(np.stack([as_bytes(image) for image in images]))
    targets = torch.from_numpy(np.stack([shifted(images[0], 2, -1), shifted(images[1], -1.5, 0)]))
    together = MATCHER.match_together(sources, targets)
    assert together.positions.shape == (2, 1, HEIGHT, WIDTH, 2)
    for index, way in enumerate(((2, -1), (-1.5, 0))):
        alone = MATCHER.match(sources[index], targets[index])
        torch.testing.assert_close(together.positions[index], alone.positions[0], rtol=1e-4, atol=1e-4)
        error = np.linalg.norm(alone.positions[0, 0].numpy() - grid() - way, axis=-1)[INNER]
        assert np.median(error) < 0.06


def test_a_matcher_searches_only_where_it_is_asked_to() -> None:
    background, card = texture(10, 96, 144), texture(11, 28, 28)
    images = [torch.from_numpy(with_card(background, card, x, 46.0)) for x in (30.0, 52.0)]
    everywhere, nowhere = torch.ones(96, 144, dtype=torch.bool), torch.zeros(96, 144, dtype=torch.bool)
    columns = torch.arange(20, 41) + 0.5
    moved = [
        MATCHER.match(*images, search=(asked, asked), reach=0.2).positions[0, 0, 36:57, 20:41, 0] - columns
        for asked in (everywhere, nowhere)
    ]
    assert (moved[0] - 22.0).abs().median() < 0.3
    assert (moved[1] - 22.0).abs().median() > 2.0


def test_the_exhaustive_search_finds_whole_pixels_however_far() -> None:
    image = as_bytes(texture(13, HEIGHT, WIDTH))
    moved = np.roll(image, (-6, 9), axis=(0, 1))
    a, b = (exhaustive.features(torch.from_numpy(x).permute(2, 0, 1)[None].float()) for x in (image, moved))
    found = exhaustive.search(a, b, 9, SearchSettings())[0]
    inner = found[:, 12:-12, 14:-14]
    assert (inner[0] == 9).float().mean() > 0.98
    assert (inner[1] == -6).float().mean() > 0.98


def test_the_cost_of_a_patch_is_lowest_at_its_true_place_and_constant_outside() -> None:
    image = texture(14, HEIGHT, WIDTH)
    source, target = (Images(torch.from_numpy(x).permute(2, 0, 1)[None].contiguous()) for x in (as_bytes(image), shifted(image, 3.0, -2.0)))
    mask = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    mask[0, 20, 30] = True
    ways = torch.tensor([(0.0, 0.0), (3.0, -2.0), (3.0, 2.0), (1000.0, 0.0)])
    candidates = ways[None, :, :, None, None].expand(1, 4, 2, HEIGHT, WIDTH)
    chosen = patches.choose(source.packed, target.packed, candidates, (0.0,) * 4, mask, PatchSettings())
    assert chosen.flow[0, :, 20, 30].tolist() == [3.0, -2.0]
    assert chosen.flow[0, :, 21, 30].tolist() == [0.0, 0.0]  # not asked: the first
    away = patches.choose(source.packed, target.packed, candidates[:, 3:], (2.5,), mask, PatchSettings())
    assert away.cost[0, 20, 30] == PatchSettings().outside_cost + 2.5


def test_a_right_displacement_spreads_over_what_moves_with_it() -> None:
    image = texture(15, HEIGHT, WIDTH)
    source, target = (Images(torch.from_numpy(x).permute(2, 0, 1)[None].contiguous()) for x in (as_bytes(image), shifted(image, 7.0, 4.0)))
    mask = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    mask[0, 18:26, 24:34] = True
    start = torch.zeros(1, 1, 2, HEIGHT, WIDTH)
    start[0, 0, :, 22, 29] = torch.tensor((7.0, 4.0))
    chosen = patches.choose(source.packed, target.packed, start, (0.0,), mask, PatchSettings())
    spread = patches.spread(source.packed, target.packed, chosen, mask, (4, 2, 1, 1, 1), 0.5, PatchSettings())
    error = (spread.flow - torch.tensor((7.0, 4.0))[None, :, None, None]).norm(dim=1)
    assert (error[mask] < 0.1).float().mean() > 0.9
    assert (spread.flow[:, :, :10] == 0).all()


def test_variational_refinement_takes_the_noise_from_displacements() -> None:
    image = texture(16, HEIGHT, WIDTH)
    source, target = (Images(torch.from_numpy(x).permute(2, 0, 1)[None].contiguous()) for x in (as_bytes(image), shifted(image, 1.4, -0.7)))
    truth = torch.tensor((1.4, -0.7))[None, :, None, None]
    rough = truth + 0.3 * torch.randn(1, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    settings = TrackSettings().match.variational
    before, after = (
        (flow - truth).norm(dim=1)[0][INNER].median() for flow in (rough, variational.refine(source.gray, target.gray, rough, settings))
    )
    assert after < 0.5 * before
    assert torch.equal(variational.refine(source.gray, target.gray, rough, replace(settings, sweeps=0)), rough)


def test_a_displacement_that_no_neighbour_shares_loses_its_certainty() -> None:
    flow, certainty = torch.zeros(1, 2, 20, 20), torch.ones(1, 20, 20)
    flow[0, :, 10, 10] = 30.0
    lowered = supported(flow, certainty, SupportSettings())
    assert lowered[0, 10, 10] < 0.05
    assert lowered[0, 4, 4] > 0.95


def test_two_matches_that_contradict_each_other_are_trusted_less_and_two_that_agree_more() -> None:
    def found(x: float, certainty: float) -> Match:
        one = torch.ones(1, HEIGHT, WIDTH)
        return Match(torch.stack((x * one, 0 * one), dim=1), one, certainty * one)

    alone, agreed, disputed = (
        _joined(found(4.0, 0.8), other, TrackSettings()).certainty.mean() for other in (found(4.0, 0.0), found(4.2, 0.7), found(9.0, 0.7))
    )
    assert disputed < 0.7 * alone
    assert agreed > 1.02 * alone


def test_a_lasting_change_of_colour_does_not_wear_a_chained_track_out() -> None:
    base = np.clip(as_bytes(texture(6)), 0, 220)
    before, after = (Images(torch.from_numpy(x).permute(2, 0, 1)[None].contiguous()) for x in (base, base + np.uint8(30)))
    one, still = torch.ones(1, *base.shape[:2]), torch.zeros(1, 2, *base.shape[:2])
    step, inner = Match(still, 0.9 * one, one), (0, slice(12, -12), slice(12, -12))
    way = _Way(Match(still, one, one), one)
    for _ in range(20):
        way = _chained(way, step, before, after, TrackSettings())
        torch.testing.assert_close(way.match.visibility[inner], 0.9 / (1 + (90 / 80) ** 4) * one[inner], atol=0.01, rtol=0)
        torch.testing.assert_close(way.kept[inner], 0.9 * one[inner])
    direct = Match(still + 1, 0.7 * one, one)
    assert (_more_certain(direct, way).kept == direct.visibility).all()
    assert (_more_certain(direct._replace(confidence=0.4 * one), way).kept == way.kept).all()


def test_halves_and_samples_keep_the_centres_of_pixels() -> None:
    """An image of the column index, halved, doubled and sampled, is the column index again."""
    column = torch.arange(10.0).expand(1, 6, 10)
    images = Images((column[:, None] * 20).byte().expand(1, 3, 6, 10).contiguous())
    assert images.half.gray[0, 0].tolist() == pytest.approx([10.0, 50.0, 90.0, 130.0, 170.0])
    back = doubled(images.half.gray[:, None], (6, 10))[0, 0, 2]
    assert back[1:-1].tolist() == pytest.approx([20.0 * x for x in range(1, 9)])
    at = torch.tensor((2.25, 3.0))[None, :, None, None]
    assert sample(column[:, None], at).item() == pytest.approx(2.25)
    assert torch.equal(joined(images, images).half.gray[1], images.half.gray[0])
    assert images.packed[0, 2, 4].tolist()[:5] == [80, 80, 80, 168, 128]
