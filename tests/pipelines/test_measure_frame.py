"""Which scores a frame gets, and of which pixels and cameras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flying_plate import BASE, CAMERAS, HEIGHT, RASTERIZER, WIDTH, film, scene

from trackersplat.captures.capture import Capture
from trackersplat.metrics.dynamic import dynamic_pixels
from trackersplat.metrics.image import psnr, ssim
from trackersplat.pipelines.measure import Stages, dynamic_masks, held_out_means, measure
from trackersplat.pipelines.pipeline import Context
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.training.photometric import ColourAffines

FRAME = 3
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[20:50, 30:60] = True


class OneMask:
    """Of the second camera alone."""

    def has(self, camera: int) -> bool:
        return camera == 1

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        return MASK if camera == 1 else None

    def close(self) -> None: ...


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    return replace(film(tmp_path), masks=OneMask())


def context(capture: Capture) -> Context:
    return Context(capture, RASTERIZER, ReconstructSettings(metrics=("psnr", "ssim")))


def picture(frame: float, camera: int) -> torch.Tensor:
    return RASTERIZER.render(scene(frame), [CAMERAS[camera]]).color[0]


def test_every_score_is_of_its_own_stage_pixels_and_cameras(capture: Capture) -> None:
    stages = Stages(result=scene(2.5), unmoved=scene(BASE), moved=scene(2.0))
    masks = dynamic_masks(context(capture), FRAME, BASE)
    scores = measure(context(capture), FRAME, stages, None, masks)
    truth = [capture.image(camera, FRAME) for camera in range(4)]
    dynamic = dynamic_pixels(capture.image(0, BASE), truth[0])
    assert dynamic.any()
    expected = {
        "unmoved_psnr": {"cam0": psnr(picture(BASE, 0), truth[0])},
        "moved_psnr": {"cam0": psnr(picture(2.0, 0), truth[0])},
        "psnr": {f"cam{i}": psnr(picture(2.5, i), truth[i]) for i in range(4)},
        "ssim": {f"cam{i}": ssim(picture(2.5, i), truth[i]) for i in range(4)},
        "dynamic_psnr": {"cam0": psnr(picture(2.5, 0), truth[0], dynamic)},
        "masked_psnr": {"cam1": psnr(picture(2.5, 1), truth[1], MASK)},
    }
    for name, values in expected.items():
        assert scores[name] == pytest.approx(values, abs=1e-4), name
    assert set(scores) == {
        "unmoved_psnr", "moved_psnr", "psnr", "masked_psnr", "dynamic_psnr",
        "unmoved_ssim", "moved_ssim", "ssim", "masked_ssim", "dynamic_ssim",
    }  # fmt: skip


def test_nothing_is_dynamic_in_the_origin_itself(capture: Capture) -> None:
    assert dynamic_masks(context(capture), FRAME, FRAME) == {}
    assert set(dynamic_masks(context(capture), FRAME, BASE)) == {0}


def test_colours_are_those_of_training_cameras_alone(capture: Capture) -> None:
    dark = ColourAffines(tuple(f"cam{i}" for i in range(4)), (0.5 * torch.eye(3, 4)).repeat(4, 1, 1))
    scores = measure(context(capture), FRAME, Stages(scene(FRAME)), dark, dynamic_masks(context(capture), FRAME, None))
    assert scores["psnr"]["cam0"] > 40
    assert max(scores["psnr"][f"cam{i}"] for i in (1, 2, 3)) < 20
    assert "dynamic_psnr" not in scores


def test_means_are_over_the_held_out_cameras_that_have_a_score(capture: Capture) -> None:
    two = replace(capture, held_out=("cam0", "cam2"))
    scores = {"psnr": {"cam0": 20.0, "cam1": 90.0, "cam2": 30.0}, "dynamic_psnr": {"cam2": 10.0}, "masked_psnr": {"cam1": 5.0}}
    assert held_out_means(scores, two) == {"psnr": 25.0, "dynamic_psnr": 10.0}
