"""What every tracker must do, whichever way it wants to be asked: an asymmetric translation of a textured image is reported as such.

Axis order (x, y), pixel centres at +0.5, layout, types and ranges are all wrong in some published tracker; here they show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cards import as_bytes, texture
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import MATCHERS, TRACKERS, create_matcher, create_tracker, default_matcher, default_tracker
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.tracker import Clip, Matcher, PointMotion, Tracker, TrackerFacts
from trackersplat.tracking.tracks import DenseTracks, Provenance
from trackersplat.tracking.views import match_views, track_views

SIZES = [(64, 48), (64, 48), (56, 48)]  # width and height of each camera
SHIFTS = [(5, -3), (-4, 2), (3, -5)]  # px per frame, x and y, of each camera


class Translations:
    """A window that slides over a larger texture, so that what it shows moves by the camera's shift each frame."""

    def __init__(self) -> None:
        self.textures = [as_bytes(texture(20 + camera, height + 80, width + 80)) for camera, (width, height) in enumerate(SIZES)]

    def read(self, camera: int, frame: int) -> np.ndarray:
        (width, height), (x, y) = SIZES[camera], SHIFTS[camera]
        top, left = 40 - y * frame, 40 - x * frame
        image = self.textures[camera][top : top + height, left : left + width]
        image.flags.writeable = False
        return image

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


class Everything:
    """Masks without a border."""

    def has(self, camera: int) -> bool:
        return True

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        width, height = SIZES[camera]
        return np.ones((height, width), bool)

    def close(self) -> None: ...


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    cameras = tuple(Camera(f"cam{i}", *size, np.diag((80.0, 80.0, 1.0)), np.eye(4)) for i, size in enumerate(SIZES))
    return Capture("translations", tmp_path, "test", cameras, 5, 30.0, Translations())


class Correlation:
    """Finds the one whole-pixel translation of an image by phase correlation; reports it for any point."""

    provenance = Provenance("correlation")

    def __init__(self, *, dense: bool, together: bool, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.facts = TrackerFacts("correlation", "", "", dense=dense, batch="views" if together else "view", hidden_weight=0.4)
        self.calls: list[tuple[int, ...]] = []

    def motion(self, clip: Clip, view: int, points: Tensor) -> PointMotion:
        assert clip.images.device.type == self.device.type
        base, *targets = clip.images[view].double().mean(-1)
        positions = torch.stack([points + self.shift(base, target) for target in targets])[None].float()
        height, width = base.shape
        seen = (positions >= 0).all(-1) & (positions[..., 0] < width) & (positions[..., 1] < height)
        return PointMotion(positions, seen.float(), torch.full_like(positions[..., 0], 0.5))

    @staticmethod
    def shift(base: Tensor, target: Tensor) -> Tensor:
        spectrum = torch.fft.fft2(target - target.mean()) * torch.fft.fft2(base - base.mean()).conj()
        peak = int(torch.fft.ifft2(spectrum / spectrum.abs().clamp_min(1e-9)).real.argmax())
        y, x = divmod(peak, base.shape[1])
        height, width = base.shape
        return base.new_tensor((x - width if x > width // 2 else x, y - height if y > height // 2 else y))

    def track_dense(self, clip: Clip) -> PointMotion:
        assert self.facts.dense
        self.calls.append(tuple(clip.images.shape))
        height, width = clip.images.shape[2:4]
        columns, rows = (torch.arange(size, device=self.device) + 0.5 for size in (width, height))
        pixels = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
        views = [self.motion(clip, view, pixels) for view in range(clip.images.shape[0])]
        return PointMotion(*(torch.cat([getattr(view, name) for view in views]) for name in ("positions", "visibility", "confidence")))

    def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> Sequence[PointMotion]:
        assert not self.facts.dense
        self.calls.append(tuple(clip.images.shape))
        height, width = clip.images.shape[2:4]
        assert len(queries) == clip.images.shape[0]
        for points in queries:
            assert points.dtype == torch.float32
            assert points.shape[1:] == (2,)
            assert points.min(0).values.tolist() == [0.5, 0.5]
            assert points.max(0).values.tolist() == [width - 0.5, height - 0.5]
        return [self.motion(clip, view, points) for view, points in enumerate(queries)]


WAYS = [(dense, together) for dense in (True, False) for together in (False, True)]
REGISTERED = [
    facts.name for facts in TRACKERS if not facts.stored and "cpu" in facts.devices and TRACKERS.why_unavailable(facts.name) is None
]


def require_contract(found: dict[int, DenseTracks], maker: Tracker | Matcher, base: int, targets: tuple[int, ...], px: float) -> None:
    """Asserts that tracks from the capture follow its translations to ``px`` pixels."""
    for camera, tracks in found.items():
        (width, height), shift = SIZES[camera], SHIFTS[camera]
        assert (tracks.base, tracks.targets) == (base, targets)
        assert tracks.positions.shape == (len(targets), height, width, 2)
        for values in (tracks.positions, tracks.visibility, tracks.confidence):
            assert values.dtype == torch.float32
            assert values.device.type == maker.device.type
        for values in (tracks.visibility, tracks.confidence):
            assert values.min() >= 0
            assert values.max() <= 1
        assert tracks.hidden_weight == maker.facts.hidden_weight
        assert tracks.provenance == replace(maker.provenance, size=maker.provenance.size or (width, height))
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        for index, target in enumerate(targets):
            way = np.multiply(shift, target - base)
            expected = np.stack((columns + 0.5 + way[0], rows + 0.5 + way[1]), axis=-1)
            stays = ((expected >= 4) & (expected < (width - 4, height - 4))).all(-1)
            error = np.linalg.norm(tracks.positions[index].cpu().numpy() - expected, axis=-1)[stays]
            assert np.percentile(error, 90) < px, f"camera {camera}, target {target}"
            certainty = (tracks.visibility[index] * tracks.confidence[index]).cpu().numpy()
            left = ((expected < 0) | (expected >= (width, height))).any(-1)
            assert certainty[stays].mean() > 2 * certainty[left].mean()


CUDA = pytest.param("cuda", marks=(pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")))


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize(("dense", "together"), WAYS)
def test_a_translation_is_reported_as_such_in_every_way_of_asking(capture: Capture, dense: bool, together: bool, device: str) -> None:
    capture = replace(capture, masks=Everything())
    tracker = Correlation(dense=dense, together=together, device=device)
    found = dict(track_views(tracker, capture, [2, 0, 1], 1, [2, 4], grid=GridSettings(step_px=9), workers=2))
    assert sorted(found) == [0, 1, 2]
    require_contract(found, tracker, 1, (2, 4), 1e-3)


def test_views_of_one_size_go_into_one_call_and_single_views_into_one_each(capture: Capture) -> None:
    for dense in (True, False):
        together, single = Correlation(dense=dense, together=True), Correlation(dense=dense, together=False)
        for tracker in (together, single):
            list(track_views(tracker, capture, [2, 0, 1], 0, [1, 2]))
        assert together.calls == [(1, 3, 48, 56, 3), (2, 3, 48, 64, 3)]
        assert sorted(single.calls) == [(1, 3, 48, 56, 3), (1, 3, 48, 64, 3), (1, 3, 48, 64, 3)]


def test_an_answer_about_another_size_than_asked_is_refused(capture: Capture) -> None:
    class Transposed(Correlation):
        def track_dense(self, clip: Clip) -> PointMotion:
            return super().track_dense(Clip(clip.images.transpose(2, 3), clip.frames))

    with pytest.raises(ShapeError, match=r"correlation answered \(1, 1, 64, 48, 2\) about a view of 64x48 pixels"):
        list(track_views(Transposed(dense=True, together=False), capture, [0], 0, [1]))


@pytest.mark.parametrize("name", REGISTERED)
def test_every_registered_tracker_of_the_cpu_keeps_the_contract(capture: Capture, name: str) -> None:
    tracker = create_tracker(name, "cpu")
    require_contract(dict(track_views(tracker, capture, [0, 2], 0, [1, 2])), tracker, 0, (1, 2), 0.25)  # a view of each size


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_the_tracker_and_the_matcher_of_the_gpu_keep_the_contract_there(capture: Capture) -> None:
    tracker, matcher = create_tracker(default_tracker("cuda"), "cuda"), create_matcher(default_matcher("cuda"), "cuda")
    assert (tracker.device.type, matcher.device.type) == ("cuda", "cuda")
    require_contract(dict(track_views(tracker, capture, [0, 1, 2], 0, [1, 2])), tracker, 0, (1, 2), 0.25)
    require_contract(dict(match_views(matcher, capture, [0, 1, 2], 1, 2)), matcher, 1, (2,), 0.25)


@pytest.mark.parametrize("name", MATCHERS.names())
def test_every_registered_matcher_keeps_the_contract(capture: Capture, name: str) -> None:
    matcher = create_matcher(name, "cpu")
    require_contract(dict(match_views(matcher, capture, [0, 1, 2], 1, 2)), matcher, 1, (2,), 0.25)
