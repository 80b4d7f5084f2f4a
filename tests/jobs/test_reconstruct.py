"""A reconstruction that is stopped and taken up again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import FrameDone, Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.jobs.reconstruct import _origin, reconstruct
from trackersplat.motion.motion import Carried
from trackersplat.pipelines import moving
from trackersplat.pipelines.chain import Origin, Reached, follow_in_legs
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.store.run import Run
from trackersplat.training.optimiser import LearningRates, TrainingViews


def test_a_run_that_is_stopped_anywhere_ends_like_one_that_is_not(small_capture: Capture, tmp_path: Path) -> None:
    plain = ReconstructSettings.for_device("cpu")
    settings = replace(plain, first=replace(plain.first, steps=40), refine=replace(plain.refine, steps=3), batch=2)
    info, frames = {"settings": settings.to_json()}, range(small_capture.frame_count)
    whole = Run.create(tmp_path / "whole", small_capture, info)
    list(reconstruct(small_capture, whole, frames, settings, PortableRasterizer()))
    stopped = Run.create(tmp_path / "stopped", small_capture, info)
    for _ in frames:  # one frame an attempt, so every batch is stopped in its middle
        attempt = reconstruct(small_capture, stopped, frames, settings, PortableRasterizer())
        next((event for event in attempt if isinstance(event, FrameDone)), None)
        attempt.close()
    assert stopped.frames() == whole.frames() == tuple(frames)
    for frame in frames:
        for name, tensor in whole.read_frame(frame).tensors().items():
            assert torch.equal(tensor, stopped.read_frame(frame).tensors()[name]), (frame, name)
    handed_on = [(whole.read_carried(frame), stopped.read_carried(frame)) for frame in frames]
    assert handed_on[0] == (None, None)
    for ours, theirs in handed_on[1:]:
        assert isinstance(ours, Carried)
        assert isinstance(theirs, Carried)
        assert (ours.velocity != 0).any()
        for name, tensor in vars(ours).items():
            assert torch.equal(tensor, vars(theirs)[name]), name


def test_what_ends_a_first_frame_is_written_down_with_the_run(small_capture: Capture, tmp_path: Path) -> None:
    plain = ReconstructSettings.for_device("cpu")
    other = replace(plain, first=replace(plain.first, cull_sh=0.0))
    for name, settings, expected in (("plain", plain, 0.02), ("other", other, 0.0)):
        Run.create(tmp_path / name, small_capture, {"settings": settings.to_json()})
        assert Run.open(tmp_path / name).info["settings"]["first"]["cull_sh"] == expected
    with pytest.raises(InputError, match=r"settings\.first\.cull_sh 0\.02 there, 0\.0 asked"):
        Run.create(tmp_path / "plain", small_capture, {"settings": other.to_json()})


@pytest.mark.parametrize("tracked", [True, False])
def test_only_frames_that_no_motion_has_moved_are_refined_as_such(small_capture: Capture, tmp_path: Path, tracked: bool) -> None:
    """All rates are 0, so the quaternions of a moved frame keep the unit norm of a motion; without one their rate is not what was set."""
    plain = ReconstructSettings.for_device("cpu")
    still = LearningRates(means=0.0, means_end=0.0, quats=0.0, log_scales=0.0, opacity_logits=0.0, sh_dc=0.0, sh_rest=0.0)
    settings = replace(
        plain,
        first=replace(plain.first, steps=40),
        refine=replace(plain.refine, steps=2, rates=still),
        tracker=plain.tracker if tracked else None,
        batch=1,
    )
    run = Run.create(tmp_path / "run", small_capture, {"settings": settings.to_json()})
    list(reconstruct(small_capture, run, range(2), settings, PortableRasterizer()))
    before, after = run.read_frame(0), run.read_frame(1)
    assert torch.equal(before.log_scales, after.log_scales)
    changed = (before.quats != after.quats).any(dim=1)
    assert changed.any()
    off_one = (after.quats[changed].norm(dim=1) - 1).abs().max()
    assert (off_one < 1e-6) == tracked


def test_a_frame_goes_on_with_the_motion_and_the_colours_of_the_frame_before(small_capture: Capture, tmp_path: Path) -> None:
    """Without what was handed on, the next frame is another one."""
    plain = ReconstructSettings.for_device("cpu")
    first = replace(plain.first, steps=40, photometric=replace(plain.first.photometric, mode="on", rate=0.02))
    settings = replace(plain, first=first, refine=replace(plain.refine, steps=2), batch=1)
    run = Run.create(tmp_path / "run", small_capture, {"settings": settings.to_json()})
    list(reconstruct(small_capture, run, range(2), settings, PortableRasterizer()))
    last = []
    for lost in ("", "carried.safetensors", "colours.json"):
        copy = tmp_path / f"without {lost}"
        shutil.copytree(tmp_path / "run", copy)
        if lost:
            (handed_on,) = (path for path in copy.rglob(lost) if path.parent.name.endswith("2"))
            handed_on.unlink()
        again = Run.open(copy)
        list(reconstruct(small_capture, again, range(3), settings, PortableRasterizer()))
        last.append(again.read_frame(2))
    assert not torch.equal(last[0].means, last[1].means)
    assert not torch.equal(last[0].sh, last[2].sh)


def test_a_batch_that_goes_on_says_its_stages_of_frames_that_are_not_finished(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "LOST", 0.0)  # look at every frame
    plain = ReconstructSettings.for_device("cpu")
    settings = replace(plain, first=replace(plain.first, steps=40), refine=replace(plain.refine, steps=1), batch=3, looks=2)
    run = Run.create(tmp_path / "run", small_capture, {"settings": settings.to_json()})
    assert Run.open(tmp_path / "run").info["settings"]["looks"] == 2
    list(reconstruct(small_capture, run, range(1), settings, PortableRasterizer()))
    attempt = reconstruct(small_capture, run, range(4), settings, PortableRasterizer())
    assert next(event for event in attempt if isinstance(event, FrameDone)).frame == 1
    attempt.close()
    stages = [event for event in reconstruct(small_capture, run, range(4), settings, PortableRasterizer()) if isinstance(event, Stage)]
    # Frame 1 is gone through again, for frame 2.
    assert [(stage.frame, stage.name) for stage in stages[:9]] == [(2, n) for n in ("track", "move", "look", "look") * 2 + ("refine",)]
    assert [stage.detail.split(", ")[1] for stage in stages if stage.name == "track"] == ["frame 1 to 2", "frame 2 to 3", "frame 3 to 4"]
    assert {stage.frame for stage in stages} == {2, 3}


def test_a_frame_far_from_its_base_is_reached_through_those_between(small_capture: Capture, tmp_path: Path) -> None:
    plain = ReconstructSettings.for_device("cpu")
    settings = replace(plain, first=replace(plain.first, steps=40), refine=replace(plain.refine, steps=1), looks=0)
    run = Run.create(tmp_path / "run", small_capture, {"settings": settings.to_json()})
    list(reconstruct(small_capture, run, [0], settings, PortableRasterizer()))
    events = list(reconstruct(small_capture, run, [3], settings, PortableRasterizer()))
    assert [event.frame for event in events if isinstance(event, FrameDone)] == [3]
    assert {event.frame for event in events if isinstance(event, Stage)} == {3}
    assert [event.detail.split(", ")[1] for event in events if isinstance(event, Stage) and event.name == "track"] == [
        "frame 1 to 2",
        "frame 2 to 3",
        "frame 3 to 4",
    ]
    assert run.frames() == (0, 3)
    assert {(track.base, track.target) for track in run.read_tracks(3).values()} == {(2, 3)}


def test_a_frame_tells_the_fitted_frame_that_it_descends_from(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every frame is the base of the next, and the first one the origin of all."""
    plain = ReconstructSettings.for_device("cpu")
    settings = replace(plain, first=replace(plain.first, steps=40), refine=replace(plain.refine, steps=3), batch=1)
    run = Run.create(tmp_path / "run", small_capture, {"settings": settings.to_json()})
    given: list[tuple[int, Origin | None]] = []

    def watched(*arguments: Any, **options: Any) -> Iterator[Stage | Reached]:
        given.append((arguments[2], options["origin"]))
        return follow_in_legs(*arguments, **options)

    monkeypatch.setattr("trackersplat.jobs.reconstruct.follow_in_legs", watched)
    list(reconstruct(small_capture, run, range(3), settings, PortableRasterizer()))
    assert [base for base, _ in given] == [0, 1]
    for _, origin in given:
        assert origin is not None
        assert origin.frame == 0
        assert torch.equal(origin.gaussians.means, run.read_frame(0).means)


@pytest.mark.parametrize("batch", [1, 2])
def test_who_has_taken_the_place_of_another_starts_anew_also_where_a_run_was_stopped(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """In every frame the Gaussians at its own three places are exchanged, for some that lie at its number."""
    plain = ReconstructSettings.for_device("cpu")
    settings = replace(plain, first=replace(plain.first, steps=40), refine=replace(plain.refine, steps=3, average=0.0), batch=batch)

    def places(frame: int) -> list[int]:
        return [2 * frame, 50, 60 + frame]

    def exchanged(gaussians: Gaussians, views: TrainingViews, *arguments: Any) -> tuple[torch.Tensor, Gaussians]:
        frame = arguments[2] - settings.seed
        born = torch.tensor(places(frame))
        return born, replace(gaussians[born], means=torch.full((3, 3), float(frame)))

    monkeypatch.setattr("trackersplat.training.refine.refine.exchange", exchanged)
    info, frames = {"settings": settings.to_json()}, range(4)
    whole, stopped = (Run.create(tmp_path / name, small_capture, info) for name in ("whole", "stopped"))
    list(reconstruct(small_capture, whole, frames, settings, PortableRasterizer()))
    for _ in frames:
        attempt = reconstruct(small_capture, stopped, frames, settings, PortableRasterizer())
        next((event for event in attempt if isinstance(event, FrameDone)), None)
        attempt.close()
    assert whole.read_born(0).tolist() == []
    for frame in frames[1:]:
        assert whole.read_born(frame).tolist() == places(frame)
        assert (whole.read_frame(frame).means[places(frame)] - frame).abs().max() < 0.1
        assert torch.equal(whole.read_frame(frame).means, stopped.read_frame(frame).means)
        carried = whole.read_carried(frame)
        assert carried is not None
        assert all((tensor[places(frame)] == 0).all() for tensor in vars(carried).values())
        assert (carried.trust != 0).any()
    descent = {1: [1, 2, 3], 2: [2, 3]}[batch]  # of frame 3, counted from 0: the frames that it descends from, but the fitted one
    origin = _origin(whole, 3, whole.read_frame(3))
    assert origin is not None
    assert origin.gone is not None
    assert origin.gone.tolist() == sorted({place for frame in descent for place in places(frame)})
    first = _origin(whole, 0, whole.read_frame(0))
    assert first is not None
    assert first.gone is None


def test_a_frame_without_a_fitted_one_before_it_has_no_origin(small_capture: Capture, tmp_path: Path) -> None:
    plain = ReconstructSettings.for_device("cpu")
    settings = replace(plain, first=replace(plain.first, steps=40), refine=replace(plain.refine, steps=3), batch=1)
    run = Run.create(tmp_path / "run", small_capture, {"settings": settings.to_json()})
    list(reconstruct(small_capture, run, range(3), settings, PortableRasterizer()))
    last = run.read_frame(2)
    assert (origin := _origin(run, 2, last)) is not None
    assert origin.frame == 0
    assert _origin(run, 2, last[1:]) is None
    (record,) = (run.path / "refine").glob("*/frame2/frame.json")
    whole = record.read_text()
    for base in (1, 2):  # of itself, and of the frame that descends from it
        data = json.loads(whole)
        data["done"]["base"] = base
        record.write_text(json.dumps(data))
        assert _origin(run, 2, last) is None
    record.write_text(whole)
    shutil.rmtree(run.path / "frame1" / "point_cloud")
    assert _origin(run, 2, last) is None
