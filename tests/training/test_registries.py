"""A points strategy, a densification and a refinement are added by one file and one line, and used."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from quad_scene import quad_capture

from trackersplat.errors import InputError
from trackersplat.events import Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.registry import Facts, Registry
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.registry import DENSIFICATIONS, DensifyFacts
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone
from trackersplat.training.points.find import first_points
from trackersplat.training.points.registry import POINT_STRATEGIES
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.refine.registry import REFINEMENTS, RefinementFacts, refinement_settings
from trackersplat.training.refine.task import RefineTask

POINTS = """
import numpy as np
from trackersplat.captures.capture import PointCloud
from trackersplat.events import Stage
from trackersplat.training.points.task import PointsFound

def find(task):
    yield Stage(task.frame, "points", f"a grid before {len(task.views.cameras)} cameras")
    x, y = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8))
    xyz = np.stack((x.ravel(), y.ravel(), np.full(64, 3.0)), axis=1).astype(np.float32)
    yield PointsFound(task.frame, PointCloud(xyz, np.full((64, 3), 128, dtype=np.uint8)))
"""

DENSIFY = """
import torch

class Halve:
    def __init__(self, settings):
        self.every = settings.every

    def after_step(self, fit, step, correct):
        if step % self.every == 0:
            gaussians = fit.optimiser.gaussians().detach()
            fit.optimiser.rebuild(torch.arange(0, len(gaussians), 2), gaussians[:0])
"""

REFINE = """
from dataclasses import dataclass, replace
from trackersplat.events import StepDone
from trackersplat.training.fit import FitDone

@dataclass(frozen=True)
class Settings:
    steps: int = 1
    brighter: float = 0.5
    seed: int = 0

    def unmoved(self):
        return self

    @staticmethod
    def for_device(device, moved=True):
        return Settings(brighter=0.25 if device == "cpu" else 0.5)

def refine(task):
    sh = task.moved.sh.clone()
    sh[~task.is_static, 0] += task.settings.brighter
    yield StepDone(task.frame, 1, 1, 0.0, len(sh))
    yield FitDone(task.frame, replace(task.moved, sh=sh), task.colours, task.is_static.nonzero()[:0, 0])
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules ``points``, ``densify`` and ``refine`` of a package that exists for one test."""
    folder = tmp_path / "added_by_a_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name, source in (("points", POINTS), ("densify", DENSIFY), ("refine", REFINE)):
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield
    for module in [name for name in sys.modules if name.startswith("added_by_a_test")]:
        del sys.modules[module]


def _add(registry: Registry, entry: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))  # which is put back
    registry.add(entry)


def _start() -> Gaussians:
    """Nine, of which the middle one is before the card."""
    means = torch.tensor([(0.3 * x, 0.3 * y, 2.5) for x in (-1, 0, 1) for y in (-1, 0, 1)])
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(9, 1)
    return Gaussians(means, quats, torch.full((9, 3), -2.0), torch.zeros(9), torch.zeros(9, 1, 3))


def test_an_added_points_strategy_gives_the_points_of_a_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    _add(POINT_STRATEGIES, Facts("grid", "a plane grid", "added_by_a_test.points:find"), monkeypatch)
    settings = FirstFrameSettings(steps=0, points=PointSettings(strategy="grid"), prune=0.0, cull_sh=0.0)
    *events, last = fit_first_frame(quad_capture(forbid_held_out=True), 0, PortableRasterizer(), settings)
    assert Stage(0, "points", "a grid before 6 cameras") in events
    assert isinstance(last, FitDone)
    assert len(last.gaussians) == 64
    assert (last.gaussians.means[:, 2] == 3.0).all()


def test_an_added_densification_changes_the_gaussians_of_a_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = DensifyFacts("halve", "every second one", "added_by_a_test.densify:Halve", min_opacity=0.3, scale_weight=2.0)
    _add(DENSIFICATIONS, facts, monkeypatch)
    _add(POINT_STRATEGIES, Facts("grid", "a plane grid", "added_by_a_test.points:find"), monkeypatch)
    settings = FirstFrameSettings(steps=4, points=PointSettings(strategy="grid"), densify=DensifySettings(every=2), prune=0.0, cull_sh=0.0)
    *_, last = fit_first_frame(quad_capture(forbid_held_out=True), 0, PortableRasterizer(), settings.with_strategy("halve"))
    assert isinstance(last, FitDone)
    assert len(last.gaussians) == 64 // 4


def test_a_densification_comes_with_what_its_authors_use() -> None:
    settings = FirstFrameSettings()
    assert settings.with_strategy("error") == settings
    gradient = settings.with_strategy("default")
    assert gradient == replace(settings, densify=replace(settings.densify, strategy="default", min_opacity=0.005))
    chain = settings.with_strategy("mcmc")
    assert (chain.densify.strategy, chain.densify.min_opacity) == ("mcmc", 0.005)
    assert (chain.regularisation.opacity, chain.regularisation.scale) == (0.01, 1.0)
    with pytest.raises(InputError, match="no densification named 'best'; choose one of error, mcmc, default"):
        settings.with_strategy("best")


def test_an_added_refinement_is_used_with_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = RefinementFacts("brighten", "all brighter", "added_by_a_test.refine:refine", settings="added_by_a_test.refine:Settings")
    _add(REFINEMENTS, facts, monkeypatch)
    start, is_static = _start(), torch.arange(9) == 4
    settings = replace(refinement_settings("brighten", "cpu"), seed=3)
    *_, last = REFINEMENTS.load("brighten")(
        RefineTask(start, is_static, quad_capture(forbid_held_out=True), 1, PortableRasterizer(), None, settings)
    )
    assert isinstance(last, FitDone)
    assert (last.gaussians.sh[~is_static] == 0.25).all()
    assert (last.gaussians.sh[is_static] == 0.0).all()


def test_a_registered_refinement_refines() -> None:
    start, is_static = _start(), torch.arange(9) == 4
    settings = replace(refinement_settings("adam"), steps=2)
    task = RefineTask(start, is_static, quad_capture(forbid_held_out=True), 1, PortableRasterizer(), None, settings)
    *_, last = REFINEMENTS.load("adam")(task)
    assert isinstance(last, FitDone)
    assert not torch.equal(last.gaussians.sh, start.sh)
    assert refinement_settings("adam", "cuda").steps == 80


@pytest.mark.parametrize("name", ["planes", "patches", "ground"])
def test_a_strategy_can_be_used_alone(name: str) -> None:
    capture = quad_capture(forbid_held_out=True)
    cloud = first_points(capture, capture.training_cameras, 0, PointSettings(strategy=name, count=500))
    assert 50 < len(cloud.xyz) <= 500


def test_a_strategy_that_does_not_suit_the_cameras_says_so() -> None:
    capture = quad_capture(forbid_held_out=True)
    for name, message in (
        ("surround", "do not surround"),
        ("capture", "no points of its own"),
        ("best", "no points strategy named 'best'; choose one of capture, planes, patches, ground, surround"),
    ):
        with pytest.raises(InputError, match=message):
            first_points(capture, capture.training_cameras, 0, PointSettings(strategy=name))
