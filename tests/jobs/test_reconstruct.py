"""A reconstruction: what goes from batch to batch, what is written, and what becomes of one that is stopped and taken up again."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.captures.fingerprints import hash_of_pixels
from trackersplat.checks.start import Doubts
from trackersplat.errors import InputError
from trackersplat.events import Event, Finished, FrameDone, Preview, Remark, Stage, Started
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.jobs.reconstruct import PREVIEW_FILE, reconstruct
from trackersplat.motion.motion import CarriedMotion
from trackersplat.pipelines.chain import follow_chain
from trackersplat.pipelines.pipeline import ChainState
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.registry import BACKENDS
from trackersplat.store.run import Run
from trackersplat.training.optimiser import LearningRates, TrainingViews

CPU = torch.device("cpu")
UNCHANGED = LearningRates(means=0.0, means_end=0.0, quats=0.0, log_scales=0.0, opacity_logits=0.0, sh_dc=0.0, sh_rest=0.0)


def quick(steps: int = 3, *, batch: int = 1, pipeline: str = "base-propagate", match: dict[str, Any] | None = None, **refine: Any) -> Any:
    """Settings for few steps; ``match`` changes those of render-and-match, ``refine`` those of the refinement."""
    plain = ReconstructSettings.for_device("cpu", pipeline=pipeline)
    motion = replace(plain.motion, render_and_match=replace(plain.motion.render_and_match, **(match or {})))
    points = replace(plain.first.points, strategy="patches")  # "auto" takes seconds for the ground
    first, refined = replace(plain.first, steps=40, points=points), replace(plain.refine, steps=steps, **refine)
    return replace(plain, first=first, motion=motion, refine=refined, batch=batch)


def new_run(folder: Path, capture: Capture, settings: ReconstructSettings, keep: str = "ply") -> Run:
    return Run.create(folder, capture, {"settings": settings.to_json(), "keep": keep})


def events(capture: Capture, run: Run, frames: Sequence[int], settings: ReconstructSettings, **options: Any) -> list[Event]:
    return list(reconstruct(capture, run, frames, settings, PortableRasterizer(), **options))


def finish_one(capture: Capture, run: Run, frames: Sequence[int], settings: ReconstructSettings) -> None:
    """An attempt that is stopped where it goes on to its second frame."""
    attempt = reconstruct(capture, run, frames, settings, PortableRasterizer())
    planned: tuple[int, ...] = ()
    for event in attempt:
        if isinstance(event, Started):
            planned = event.frames
        if isinstance(event, Stage) and event.frame != planned[0]:
            break
    attempt.close()


def files(run: Run) -> dict[str, bytes]:
    """All files of the frames by name, but those that tell seconds."""
    paths = [path for path in run.path.rglob("frame*/**/*") if path.is_file() and path.name != "frame.json"]
    return {str(path.relative_to(run.path)): path.read_bytes() for path in paths}


def stages(found: Sequence[Event]) -> list[tuple[int, str]]:
    return [(event.frame, event.name) for event in found if isinstance(event, Stage)]


@pytest.mark.parametrize(("batch", "keep"), [(1, "ply"), (2, "compact")])
def test_a_run_that_is_stopped_anywhere_ends_like_one_that_is_not(small_capture: Capture, tmp_path: Path, batch: int, keep: str) -> None:
    settings, frames = quick(batch=batch), range(4)
    whole, stopped = (new_run(tmp_path / name, small_capture, settings, keep) for name in ("whole", "stopped"))
    events(small_capture, whole, frames, settings)
    for done in frames:  # one frame an attempt, so every batch is stopped in its middle
        finish_one(small_capture, Run.open(stopped.path), frames, settings)
        assert Run.open(stopped.path).frames() == tuple(range(done + 1))
    expected, found = files(whole), files(stopped)
    assert {Path(name).name for name in expected} >= {"point_cloud.ply", "tracks.npz", "evidence.npz", "carried.safetensors"}
    assert sum(name.endswith(".tsgf") for name in expected) == (4 if keep == "compact" else 0)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert Run.open(whole.path).read_state(0, CPU).carried is None
    for frame in frames[1:] if keep == "ply" else (2,):
        carried = Run.open(whole.path).read_state(frame, CPU).carried
        assert isinstance(carried, CarriedMotion)
        assert (carried.velocity != 0).any()


@pytest.mark.parametrize("pipeline", ["base-propagate", "train-base"])
def test_a_run_on_several_devices_has_the_files_of_a_run_on_one(small_capture: Capture, tmp_path: Path, pipeline: str) -> None:
    settings, frames = quick(batch=3, pipeline=pipeline), range(5)
    one, several = (new_run(tmp_path / name, small_capture, settings) for name in ("one", "several"))
    events(small_capture, one, frames, settings)
    found = events(small_capture, several, frames, settings, others=[PortableRasterizer(), PortableRasterizer()])
    assert [event.frame for event in found if isinstance(event, FrameDone)] == list(frames)
    assert next(event.device for event in found if isinstance(event, Started)).count(" and ") == 2
    assert files(several) == files(one)
    scores = [[record.scores for _, record in sorted(run.records().items())] for run in (one, several)]
    assert scores[0] == scores[1]


def test_poses_that_do_not_fit_are_said_before_the_first_frame_and_kept_with_it(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def doubtful(_: Capture, frame: int) -> Iterator[Event]:
        asked.append(frame)
        yield Doubts(("The pose of cam01 is wrong.",))

    monkeypatch.setattr("trackersplat.jobs.reconstruct.doubtful_poses", doubtful)
    monkeypatch.setattr(BACKENDS, "passed_over", lambda name: (f"The choice fell on {name}.",))
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", small_capture, settings)
    found = events(small_capture, run, range(2), settings)
    said = found.index(Remark("The pose of cam01 is wrong."))
    assert said < next(index for index, event in enumerate(found) if isinstance(event, Stage) and event.name == "points")
    assert found.index(Remark("The choice fell on portable.")) < said
    assert [record.remarks.count("The pose of cam01 is wrong.") for _, record in sorted(Run.open(run.path).records().items())] == [1, 0]
    events(small_capture, Run.open(run.path), range(3), settings)  # which moves frame 3 from frame 2 and fits none
    assert asked == [0]


def test_a_first_frame_can_be_cancelled_while_its_poses_are_checked(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    went_on: list[int] = []

    def slow(_: Capture, frame: int) -> Iterator[Event]:
        for percent in range(0, 100, 10):
            went_on.append(percent)
            yield Stage(frame, "check", f"matching points, {percent} %")

    monkeypatch.setattr("trackersplat.jobs.reconstruct.doubtful_poses", slow)
    settings = quick(1)
    run = new_run(tmp_path / "run", small_capture, settings)
    attempt = reconstruct(small_capture, run, range(1), settings, PortableRasterizer())
    next(event for event in attempt if isinstance(event, Stage) and event.detail == "matching points, 20 %")
    attempt.close()
    assert went_on == [0, 10, 20]
    with run.writing():
        assert run.frames() == ()


def test_a_defect_of_the_check_of_the_poses_is_said_and_does_not_end_the_reconstruction(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Capture, frame: int) -> Iterator[Event]:
        yield Stage(frame, "check", "reading frames, 0 %")
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr("trackersplat.jobs.reconstruct.doubtful_poses", broken)
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", small_capture, settings)
    found = events(small_capture, run, range(1), settings)
    (said,) = [event.text for event in found if isinstance(event, Remark) and "LinAlgError: SVD did not converge" in event.text]
    assert Run.open(run.path).records()[0].remarks.count(said) == 1


def test_what_ends_a_first_frame_is_written_down_with_the_run(small_capture: Capture, tmp_path: Path) -> None:
    plain = ReconstructSettings.for_device("cpu")
    other = replace(plain, first=replace(plain.first, cull_sh=0.0))
    for name, settings, expected in (("plain", plain, 0.02), ("other", other, 0.0)):
        new_run(tmp_path / name, small_capture, settings)
        assert Run.open(tmp_path / name).info["settings"]["first"]["cull_sh"] == expected
    with pytest.raises(InputError, match=r"settings\.first\.cull_sh is 0\.02 in the run, but 0\.0 was asked for"):
        new_run(tmp_path / "plain", small_capture, other)


@pytest.mark.parametrize(("pipeline", "folder"), [("base-propagate", "refine/base-propagate-dis"), ("train-base", "train/base")])
def test_only_frames_that_no_motion_has_moved_are_refined_as_such(
    small_capture: Capture, tmp_path: Path, pipeline: str, folder: str
) -> None:
    """All rates are 0, so the quaternions of a moved frame keep the unit norm of a motion; without one their rate is not what was set."""
    settings = quick(2, pipeline=pipeline, rates=UNCHANGED)
    run = new_run(tmp_path / "run", small_capture, settings)
    found = events(small_capture, run, range(2), settings)
    assert (run.path / folder / "frame2").is_dir()
    assert ("track" in dict.fromkeys(name for _, name in stages(found))) == (pipeline == "base-propagate")
    before, after = run.read_frame(0), run.read_frame(1)
    assert torch.equal(before.log_scales, after.log_scales)
    changed = (before.quats != after.quats).any(dim=1)
    assert changed.any()
    off_one = (after.quats[changed].norm(dim=1) - 1).abs().max()
    assert (off_one < 1e-6) == (pipeline == "base-propagate")


def test_a_frame_goes_on_with_the_motion_and_the_colours_of_the_frame_before(small_capture: Capture, tmp_path: Path) -> None:
    """Without what was handed on, the next frame is another one."""
    plain = quick(2)
    settings = replace(plain, first=replace(plain.first, photometric=replace(plain.first.photometric, mode="on", rate=0.02)))
    run = new_run(tmp_path / "run", small_capture, settings)
    events(small_capture, run, range(2), settings)
    last = []
    for lost in ("", "carried.safetensors", "colours.json"):
        copy = tmp_path / f"without {lost}"
        shutil.copytree(tmp_path / "run", copy)
        if lost:
            (handed_on,) = (path for path in copy.rglob(lost) if path.parent.name.endswith("2"))
            handed_on.unlink()
        again = Run.open(copy)
        events(small_capture, again, range(3), settings)
        last.append(again.read_state(2, torch.device("cpu")))
    pending = [state.carried.pending_translation for state in last if state.carried is not None]
    assert len(pending) == 3
    assert not torch.equal(pending[0], pending[1])
    assert torch.equal(pending[0], pending[2])
    assert not torch.equal(last[0].gaussians.sh, last[2].gaussians.sh)


def test_the_state_goes_from_batch_to_batch_in_memory_and_is_read_to_resume_alone(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", small_capture, settings)
    read: list[int] = []
    original = Run.read_state

    def counted(self: Run, frame: int, device: torch.device) -> ChainState:
        read.append(frame)
        return original(self, frame, device)

    monkeypatch.setattr(Run, "read_state", counted)
    events(small_capture, run, range(3), settings)
    assert read == []
    events(small_capture, run, range(5), settings)
    assert read == [2]
    assert run.frames() == (0, 1, 2, 3, 4)


def test_a_frame_is_written_while_the_next_one_is_worked_on(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first frame is not written before the second one is tracked: a job that waited for it would not get there."""
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", small_capture, settings)
    tracked = threading.Event()
    original, in_time = Run.write_frame, []

    def late(self: Run, *arguments: Any) -> None:
        in_time.append(tracked.wait(timeout=60))
        original(self, *arguments)

    monkeypatch.setattr(Run, "write_frame", late)
    found = []
    for event in reconstruct(small_capture, run, range(2), settings, PortableRasterizer()):
        found.append(event)
        if isinstance(event, Stage) and (event.frame, event.name) == (1, "track"):
            tracked.set()
    assert in_time == [True, True]
    assert [event.frame for event in found if isinstance(event, FrameDone)] == [0, 1]
    at = [index for index, event in enumerate(found) if isinstance(event, FrameDone)]
    assert at[0] > next(index for index, event in enumerate(found) if isinstance(event, Stage) and event.frame == 1)
    assert isinstance(found[-1], Finished)


@pytest.mark.parametrize("kind", ["absent", "a file", "empty"])
def test_without_the_weights_of_a_metric_it_is_unavailable_and_the_frames_are_made(
    small_capture: Capture, tmp_path: Path, kind: str
) -> None:
    weights = tmp_path / "weights"
    if kind == "a file":
        weights.write_text("no folder")
    elif kind == "empty":
        weights.mkdir()
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", small_capture, settings)
    done = [event for event in events(small_capture, run, range(2), settings, weights=weights) if isinstance(event, FrameDone)]
    assert [event.frame for event in done] == [0, 1]
    for event in done:
        assert set(event.unavailable) == {"lpips", "lpips_alex"}
        assert set(event.scores) >= {"psnr", "ssim"}
        assert not any("lpips" in name for name in event.scores)
    assert Run.open(run.path).records() == {event.frame: event for event in done}


def test_a_batch_that_goes_on_says_its_stages_of_frames_that_are_not_finished(small_capture: Capture, tmp_path: Path) -> None:
    settings = quick(1, batch=3, match={"match_rounds": 2, "unreliable_share": 0.0})  # every frame is matched
    run = new_run(tmp_path / "run", small_capture, settings)
    assert Run.open(tmp_path / "run").info["settings"]["motion"]["render_and_match"]["match_rounds"] == 2
    events(small_capture, run, range(1), settings)
    finish_one(small_capture, run, range(4), settings)
    assert run.frames() == (0, 1)
    found = events(small_capture, run, range(4), settings)
    # Frame 1 is gone through again, for frame 2.
    assert stages(found)[:9] == [(2, name) for name in ("track", "move", "match", "match") * 2 + ("refine",)]
    tracked = [event.detail.split(", ")[1] for event in found if isinstance(event, Stage) and event.name == "track"]
    assert tracked == ["frame 1 to 2", "frame 2 to 3", "frame 3 to 4"]
    assert {frame for frame, _ in stages(found)} == {2, 3}


def test_a_frame_far_from_its_base_is_reached_through_those_between(small_capture: Capture, tmp_path: Path) -> None:
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", small_capture, settings)
    events(small_capture, run, [0], settings)
    found = events(small_capture, run, [3], settings)
    assert [event.frame for event in found if isinstance(event, FrameDone)] == [3]
    assert {frame for frame, _ in stages(found)} == {3}
    tracked = [event.detail.split(", ")[1] for event in found if isinstance(event, Stage) and event.name == "track"]
    assert tracked == ["frame 1 to 2", "frame 2 to 3", "frame 3 to 4"]
    assert run.frames() == (0, 3)
    assert {tracks.frames for tracks in run.read_tracks(3).values()} == {(3,)}
    assert {int(begin) for tracks in run.read_tracks(3).values() for begin in tracks.query[:, 0]} <= {0, 1, 2, 3}


def test_a_step_starts_from_the_fitted_frame_that_its_base_descends_from(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every frame is the base of the next, and the first one the origin of all, also where a job goes on."""
    settings = quick()
    run = new_run(tmp_path / "run", small_capture, settings)
    given: list[ChainState] = []

    def watched(state: ChainState, *arguments: Any, **options: Any) -> Iterator[Event]:
        given.append(state)
        return follow_chain(state, *arguments, **options)

    monkeypatch.setattr("trackersplat.pipelines.base_propagate.follow_chain", watched)
    events(small_capture, run, range(3), settings)
    events(small_capture, run, range(4), settings)
    assert [state.frame for state in given] == [0, 1, 2]
    for state in given:
        assert state.origin is not None
        assert state.origin.frame == 0
        assert torch.equal(state.origin.gaussians.means, run.read_frame(0).means)
        assert torch.equal(state.gaussians.means, run.read_frame(state.frame).means)


@pytest.mark.parametrize("batch", [1, 2])
def test_what_replaces_another_starts_anew_also_where_a_run_was_stopped(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """In every frame the Gaussians at three indices of its own are replaced by others that lie at its number."""
    settings, frames = quick(average=0.0, batch=batch), range(4)

    def indices(frame: int) -> list[int]:
        return [2 * frame, 50, 60 + frame]

    def replaced(gaussians: Gaussians, views: TrainingViews, *arguments: Any) -> tuple[torch.Tensor, Gaussians]:
        frame = arguments[2] - settings.seed
        at = torch.tensor(indices(frame))
        return at, replace(gaussians[at], means=torch.full((3, 3), float(frame)))

    monkeypatch.setattr("trackersplat.training.refine.adam.replace_faint", replaced)
    whole, stopped = (new_run(tmp_path / name, small_capture, settings) for name in ("whole", "stopped"))
    events(small_capture, whole, frames, settings)
    for _ in frames:
        finish_one(small_capture, Run.open(stopped.path), frames, settings)
    assert files(Run.open(stopped.path)) == files(whole)
    assert whole.read_replaced(0).tolist() == []
    for frame in frames[1:]:
        assert whole.read_replaced(frame).tolist() == indices(frame)
        state = whole.read_state(frame, CPU)
        assert (state.gaussians.means[indices(frame)] - frame).abs().max() < 0.1
        assert state.carried is not None
        assert all((getattr(state.carried, part.name)[indices(frame)] == 0).all() for part in fields(state.carried))
        assert (state.carried.trust != 0).any()
        assert state.origin is not None
        assert state.lineage is not None
        assert set(state.lineage.born[indices(frame)].tolist()) == {frame}
        assert len(set(state.lineage.ids.tolist())) == len(state)
    descent = {1: [1, 2, 3], 2: [2, 3]}[batch]  # of frame 3, counted from 0: the frames that it descends from, but the fitted one
    lineage = whole.read_state(3, CPU).lineage
    assert lineage is not None
    assert lineage.replaced.tolist() == sorted({index for frame in descent for index in indices(frame)})
    first = whole.read_state(0, CPU)
    assert first.lineage is not None
    assert first.lineage.replaced.tolist() == []
    assert first.origin is not None
    assert first.origin.frame == 0


def test_previews_of_a_first_frame_are_as_rare_as_the_clock_says_and_leave_nothing(small_capture: Capture, tmp_path: Path) -> None:
    settings = quick()
    shown = {}
    for name, now in (("standing", lambda: 5.0), ("running", count(0.0, 10.0).__next__)):
        run = new_run(tmp_path / name, small_capture, settings)
        shown[name] = []
        for event in reconstruct(small_capture, run, [0], settings, PortableRasterizer(), now=now):
            if isinstance(event, Preview):
                assert event.path == str(run.path / PREVIEW_FILE)
                assert Path(event.path).is_file()
                shown[name].append(event.frame)
        assert not (run.path / PREVIEW_FILE).exists()
    assert shown["standing"] == []  # done at once, as far as the clock tells
    assert len(shown["running"]) > 1
    assert set(shown["running"]) == {0}


class OtherImages:
    """The images of another take: those of one camera in one frame differ."""

    def __init__(self, capture: Capture, camera: int, frame: int) -> None:
        self._source, self._other = capture.source, (camera, frame)
        self.read_frames: list[int] = []

    def read(self, camera: int, frame: int) -> np.ndarray:
        self.read_frames.append(frame)
        image = self._source.read(camera, frame)
        return 255 - image if (camera, frame) == self._other else image

    def prefetch(self, wanted: object) -> None: ...

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def three_frames(small_capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path_factory.mktemp("runs") / "three", small_capture, settings)
    events(small_capture, run, range(3), settings)
    return run


@pytest.mark.parametrize(
    ("wanted", "camera", "frame"),
    [(range(3), 2, 0), (range(3), 1, 2), (range(4), 0, 0), (range(4), 3, 2), (range(1, 4), 1, 0), (range(3, 4), 2, 2)],
    ids=["nothing to do, first", "nothing to do, last", "held out", "base", "fitted frame that the base is from", "base of one frame"],
)
def test_frames_of_other_images_are_not_gone_on_with(
    small_capture: Capture, three_frames: Run, tmp_path: Path, wanted: range, camera: int, frame: int
) -> None:
    shutil.copytree(three_frames.path, tmp_path / "run")
    other = replace(small_capture, source=OtherImages(small_capture, camera, frame))
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", other, settings)
    before = files(run)
    name = small_capture.cameras[camera].name
    with pytest.raises(
        InputError,
        match=rf"run holds a run of .*, not of .*: the image of {name} in frame {frame + 1} is another one; choose another folder",
    ):
        events(other, run, wanted, settings)
    assert files(run) == before
    assert not list((tmp_path / "run").rglob(".*"))


def test_a_frame_is_recorded_with_the_hashes_of_all_its_images_and_no_more_are_read_to_compare_them(
    small_capture: Capture, three_frames: Run, tmp_path: Path
) -> None:
    for frame in range(3):
        record = three_frames.record(frame)
        assert record is not None
        images = {camera.name: small_capture.image(index, frame) for index, camera in enumerate(small_capture.cameras)}
        assert record.images == {name: hash_of_pixels(image) for name, image in images.items()}
    source = OtherImages(small_capture, 9, 9)
    settings = quick(1, match={"match_rounds": 0})
    events(replace(small_capture, source=source), Run.open(three_frames.path), range(3), settings)
    assert set(source.read_frames) == {0, 2}  # nothing was to be done


def test_a_run_that_is_removed_during_the_work_is_an_error_that_says_so(small_capture: Capture, tmp_path: Path) -> None:
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", small_capture, settings)

    def remove_it() -> None:
        for event in reconstruct(small_capture, run, range(3), settings, PortableRasterizer()):
            if isinstance(event, Stage) and (event.frame, event.name) == (1, "refine"):
                shutil.rmtree(run.path, ignore_errors=True)

    with pytest.raises(InputError, match="was moved, removed or replaced while the run was being written"):
        remove_it()


def test_a_first_frame_that_is_removed_during_the_work_is_an_error_that_says_so(small_capture: Capture, tmp_path: Path) -> None:
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", small_capture, settings)

    def remove_it() -> None:
        for event in reconstruct(small_capture, run, range(2), settings, PortableRasterizer()):
            if isinstance(event, FrameDone) and event.frame == 0:
                shutil.rmtree(run.path / "frame1")

    with pytest.raises(InputError, match=r"Frame 1 was removed from .*run while the run was being written"):
        remove_it()
    assert Run.open(run.path).frames() == (1,)


def test_of_two_jobs_on_one_run_the_second_is_told_who_is_first_and_harms_nothing(small_capture: Capture, tmp_path: Path) -> None:
    settings = quick(1, match={"match_rounds": 0})
    run = new_run(tmp_path / "run", small_capture, settings)
    first = reconstruct(small_capture, run, range(2), settings, PortableRasterizer())
    for event in first:
        if isinstance(event, Stage) and event.name == "optimise":
            break
    with pytest.raises(InputError, match=r"is being written by process \d+ on "):
        events(small_capture, Run.open(run.path), range(2), settings)
    assert [event.frame for event in first if isinstance(event, FrameDone)] == [0, 1]
    assert not (run.path / ".lock").exists()


def test_a_folder_where_a_preview_goes_is_one_sentence_before_the_work(small_capture: Capture, tmp_path: Path) -> None:
    settings = quick(1)
    run = new_run(tmp_path / "run", small_capture, settings)
    (run.path / PREVIEW_FILE).mkdir()
    with pytest.raises(InputError, match=r"preview\.ply is a folder, where a preview is written"):
        events(small_capture, run, range(1), settings)
    assert Run.open(run.path).frames() == ()


def test_a_preview_that_a_killed_process_left_is_removed(small_capture: Capture, three_frames: Run, tmp_path: Path) -> None:
    shutil.copytree(three_frames.path, tmp_path / "run")
    (tmp_path / "run" / PREVIEW_FILE).write_text("half")
    events(small_capture, Run.open(tmp_path / "run"), range(3), quick(1, match={"match_rounds": 0}))
    assert not (tmp_path / "run" / PREVIEW_FILE).exists()
