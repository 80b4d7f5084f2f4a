"""Colour maps per camera: recovered up to the gauge, gauge exact, kept only where cameras differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from quad_scene import CastFrames, quad_capture

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.events import Stage, StepDone
from trackersplat.jobs.reconstruct import reconstruct
from trackersplat.metrics.image import psnr
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.store.run import Run
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.optimise import held_out_psnr
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone
from trackersplat.training.optimiser import LearningRates, TrainingViews
from trackersplat.training.photometric import AffineFit, ColourAffines, PhotometricSettings, exposed_alike, transform
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.refine.adam import refine
from trackersplat.training.refine.settings import RefineSettings
from trackersplat.training.refine.task import RefineTask

# Few steps, so the means go as far as they do in every other optimisation.
SETTINGS = FirstFrameSettings(
    steps=150, points=PointSettings(count=1200), densify=DensifySettings(every=50, cap=1500), rates=LearningRates()
)
GAINS = np.array([0.80, 1.15, 0.90, 1.0, 1.25, 0.85, 1.05])  # per camera; that of the held-out camera 3 is 1


class GainFrames(CastFrames):
    """The cast images, each camera with a gain of its own, within 0..255."""

    def __init__(self, cameras: tuple[Camera, ...], forbidden: tuple[int, ...] = ()) -> None:
        super().__init__(cameras, forbidden)

    def read(self, camera: int, frame: int) -> np.ndarray:
        return np.round(20 + 0.7 * super().read(camera, frame) * GAINS[camera]).astype(np.uint8)


def gain_capture(forbidden: tuple[int, ...] = ()) -> Capture:
    capture = quad_capture()
    return replace(capture, source=GainFrames(capture.cameras, forbidden))


def random_maps(count: int) -> torch.Tensor:
    """(count, 3, 4) whose mean is the identity."""
    maps = 0.08 * torch.randn((count, 3, 4), generator=torch.Generator().manual_seed(5))
    return torch.eye(3, 4) + maps - maps.mean(dim=0)


def last_of(capture: Capture, mode: str) -> FitDone:
    settings = replace(SETTINGS, photometric=PhotometricSettings(mode=mode, rate=5e-3))  # type: ignore[arg-type]
    *_, last = fit_first_frame(capture, 0, PortableRasterizer(), settings)
    assert isinstance(last, FitDone)
    return last


@pytest.fixture(scope="module")
def corrected() -> FitDone:
    return last_of(gain_capture((3,)), "auto")


def test_known_maps_are_found_from_images_that_differ_by_them() -> None:
    views = TrainingViews(quad_capture(), 0, torch.device("cpu"), seed=0)
    wanted = random_maps(len(views))
    fit = AffineFit(views, PhotometricSettings(rate=6e-3, decay=0.0), 600)
    for _ in range(600):
        view = views.draw()
        rendered = views.image(view)
        (fit.apply(view, rendered) - transform(wanted[view], rendered)).abs().mean().backward()
        fit.step()
    torch.testing.assert_close(fit.matrices().detach(), wanted, rtol=0, atol=5e-3)


def test_the_mean_of_all_maps_is_the_identity_after_any_step() -> None:
    views = TrainingViews(quad_capture(), 0, torch.device("cpu"), seed=0)
    fit = AffineFit(views, PhotometricSettings(), 20)
    for _ in range(20):
        view = views.draw()
        fit.apply(view, views.image(view)).mean().backward()  # pulls every camera into the same direction
        fit.step()
        torch.testing.assert_close(fit.matrices().detach().mean(dim=0), torch.eye(3, 4), rtol=0, atol=1e-6)


def test_disagreement_is_the_change_of_the_images_in_grey_levels() -> None:
    views = TrainingViews(quad_capture(), 0, torch.device("cpu"), seed=0)
    fit = AffineFit(views, PhotometricSettings(), 1)
    assert fit.disagreement() == 0
    offsets = torch.tensor([3.0, -3.0, 3.0, -3.0, 3.0, -3.0]) / 255
    with torch.no_grad():
        fit._raw[:, :, 3] = offsets[:, None] + 0.2  # what all have in common is no disagreement
    assert fit.disagreement() == pytest.approx(3.0, rel=1e-5)


def test_cameras_of_different_exposure_are_matched_and_the_held_out_one_gains(corrected: FitDone) -> None:
    found = dict(zip(corrected.colours.cameras, corrected.colours.matrices, strict=True))  # type: ignore[union-attr]
    assert list(found) == ["cam0", "cam1", "cam2", "cam4", "cam5", "cam6"]
    mean = np.mean(np.delete(GAINS, 3))
    for name, matrix in found.items():
        for grey in (70, 130):  # levels that the images are full of; the offset of 20 is the same for all
            shown = 255 * float(transform(matrix, torch.full((3,), grey / 255)).mean())
            assert shown == pytest.approx(20 + (grey - 20) * GAINS[int(name[3:])] / mean, abs=5)
    without = last_of(gain_capture(), "off")
    assert without.colours is None
    capture, rasterizer = gain_capture(), PortableRasterizer()
    better, worse = (held_out_psnr(capture, 0, rasterizer, p.gaussians) or 0.0 for p in (corrected, without))
    assert better > worse + 0.2  # most of the error is texture finer than these few Gaussians show


def test_cameras_that_agree_are_left_as_they_are() -> None:
    *events, last = fit_first_frame(quad_capture(forbid_held_out=True), 0, PortableRasterizer(), SETTINGS)
    assert isinstance(last, FitDone)
    assert last.colours is None
    assert any("left as they are" in event.detail for event in events if isinstance(event, Stage))


def test_a_moved_frame_is_refined_with_the_maps_as_they_are(corrected: FitDone) -> None:
    capture, g = gain_capture(), corrected.gaussians
    moving = torch.zeros(len(g), dtype=torch.bool)
    loss = {}
    for name, colours in (("with", corrected.colours), ("without", None)):
        step, last = refine(RefineTask(g, moving, capture, 0, PortableRasterizer(), colours, RefineSettings(steps=6, report_every=6)))
        assert isinstance(step, StepDone)
        assert isinstance(last, FitDone)
        assert last.colours is colours
        loss[name] = step.loss
    assert loss["with"] < 0.9 * loss["without"]


def test_maps_survive_json_and_leave_unknown_cameras_alone() -> None:
    maps = ColourAffines(("a", "b"), random_maps(2))
    again = ColourAffines.from_json(maps.to_json())
    assert again.cameras == maps.cameras
    assert torch.equal(again.matrices, maps.matrices)
    color = torch.rand((4, 5, 3), generator=torch.Generator().manual_seed(1))
    assert torch.equal(maps.apply("held out", color), color)
    expected = torch.einsum("ij,hwj->hwi", maps.matrices[1][:, :3], color) + maps.matrices[1][:, 3]
    torch.testing.assert_close(maps.apply("b", color), expected)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": 1},
        {"a": [[1, 0, 0, 0]] * 2},
        {"a": [[1, 0, 0]] * 3},
        {"a": [["1", 0, 0, 0]] * 3},
        {"a": [[float("nan"), 0, 0, 0]] * 3},
        {"a": [[1e9, 0, 0, 0]] * 3},
    ],
)
def test_json_that_holds_no_maps_is_refused(data: dict) -> None:
    with pytest.raises(ValueError, match=r"cameras|3x4 matrix"):
        ColourAffines.from_json(data)


def test_maps_of_another_number_of_cameras_are_refused() -> None:
    with pytest.raises(ShapeError):
        ColourAffines(("a",), random_maps(2))


def test_a_run_keeps_the_maps_for_its_later_frames_and_scores_training_cameras_with_them(tmp_path: Path) -> None:
    capture, first = gain_capture(), replace(SETTINGS, photometric=PhotometricSettings(mode="on", rate=5e-3))
    settings = ReconstructSettings(pipeline="train-base", first=first, refine=RefineSettings(steps=5), metrics=("psnr",))
    run = Run.create(tmp_path / "run", capture, {"settings": settings.to_json()})
    for frames in ([0], [0, 1]):  # the second frame in an attempt of its own, as after a resume
        list(reconstruct(capture, run, frames, settings, PortableRasterizer()))
    kept = [run.read_colours(frame) for frame in (0, 1)]
    assert kept[0] is not None
    assert kept[1] is not None
    assert torch.equal(kept[0].matrices, kept[1].matrices)
    gaussians, record = run.read_frame(0), run.record(0)
    assert record is not None

    def score(camera: int, colours: ColourAffines | None) -> float:
        image = PortableRasterizer().render(gaussians, [capture.cameras[camera]]).color[0]
        return psnr(image if colours is None else colours.apply(capture.cameras[camera].name, image), capture.image(camera, 0))

    scores = record.scores["psnr"]
    assert scores["cam4"] == pytest.approx(score(4, kept[0]), abs=0.01)
    assert score(4, kept[0]) > score(4, None) + 0.2
    assert scores["cam3"] == pytest.approx(score(3, None), abs=0.01)  # held out: as it is rendered


def test_exposed_alike_undoes_a_gain_per_channel_and_nothing_else() -> None:
    image = torch.rand((9, 7, 3), generator=torch.Generator().manual_seed(0)) * 0.5
    gain = torch.tensor([1.6, 0.4, 1.0])
    torch.testing.assert_close(exposed_alike(image, image * gain), image * gain)
    other = image.flip(0)
    assert float((exposed_alike(other, image) - image).square().mean()) > 1e-3
    assert exposed_alike(torch.zeros(2, 2, 3), torch.ones(2, 2, 3)).tolist() == torch.zeros(2, 2, 3).tolist()
