"""``trackersplat bench motion``: what moving Gaussians by tracks is worth."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from trackersplat.commands.options import (
    HoldOut,
    agreement_settings,
    check_match_rounds,
    check_numbers,
    track_settings,
    with_held_out,
)
from trackersplat.commands.outcome import traceback_in
from trackersplat.commands.shown import printable
from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.benchmarks.motion import BenchDone, MotionBenchSettings
    from trackersplat.captures.capture import Capture
    from trackersplat.pipelines.settings import ReconstructSettings
    from trackersplat.rendering.rasterizer import Rasterizer
    from trackersplat.store.run import Run

DISTANCES = (1, 2, 4, 8, 15)


@dataclass(frozen=True)
class BenchMotion:
    """Measure what moving Gaussians by tracks is worth.

    Compare four ways to reach later frames from one base frame, on the held-out cameras: do nothing, moved only,
    refinement alone, moved and refined; with the errors of 3D truth points where the capture has gt/tracks.npz.
    Dynamic pixels are those of a held-out camera whose colour differs between base and target by more than 0.1 of the
    range in any channel, after a blur of 1 px, without specks below 3 px, grown by 3 px.
    """

    capture: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, or "demo"."""
    tracker: str | None = None
    """Point tracker, or "exact": the capture's own tracks, gt/flow_<camera>.npz. Default: dis on a CPU, dis-gpu on a GPU."""
    tracks: Path | None = None
    """Read tracks from this file, or folder, instead of tracking; as in `trackersplat reconstruct`."""
    tracks_camera: str | None = None
    """The camera in whose frame the tracks of the file are, where the file has no extrinsics."""
    distances: str | None = None
    """Distances from the base frame, comma-separated. Default: 1,2,4,8,15, as far as the clip goes; with exact tracks, all that they
    reach."""
    base: int = 1
    """Base frame, counted from 1."""
    tracking: Literal["fast", "accurate"] = "fast"
    """fast: tracks of every view as the tracker finds them. accurate: those of all views joined by the places of the points in space."""
    match_rounds: int = 1
    """Rounds of render-and-match, at most: where tracks are unreliable, the moved scene is rendered and matched with the images. Not used
    with exact tracks."""
    steps: int | None = None
    """Optimisation steps of both refinements. Default: 100 on a CPU, 80 on a GPU."""
    first_steps: int | None = None
    """Optimisation steps of the base frame. Default: 1000."""
    hold_out: HoldOut = ()
    """Held-out cameras (comma-separated names, or the option several times): used only to measure. Default: those of the capture."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if a back end for it works here, otherwise the CPU."""
    backend: str | None = None
    """Rendering back end. Default: the first that works here."""
    seed: int = 0
    """Seed of all random choices, 0 or more. On a CPU, the same seed on the same machine gives the same result."""
    run_folder: Annotated[Path | None, tyro.conf.arg(name="run")] = None
    """Take the base frame from this run instead of fitting it."""
    out: Path | None = None
    """Folder for the base frame, which is fitted once, and for the JSON file. Default: output/NAME-bench, or
    output/NAME-bench-HASH if that holds something else."""
    json: Path | None = None
    """File for all numbers. Default: bench-motion-TRACKER.json in the folder, bench-motion-TRACKER-accurate.json if the tracks are."""

    def run(self) -> None:
        from trackersplat.benchmarks.motion import BenchDone, bench_motion
        from trackersplat.captures.registry import open_capture
        from trackersplat.commands.bench_report import MotionTable
        from trackersplat.files import write_json
        from trackersplat.rendering.registry import choose_rasterizer

        if self.run_folder is not None and (self.out is not None or self.first_steps is not None):
            raise InputError("--run takes the base frame from a run as it is: leave out --out and --first-steps.")
        capture = open_capture(self.capture)
        if self.hold_out:
            capture = with_held_out(capture, self.hold_out)
        if not capture.held_out_cameras:
            raise InputError(f"{capture.name} has no held-out camera to measure with: name one with --hold-out.")
        rasterizer = choose_rasterizer(None if self.device == "auto" else self.device, self.backend)
        settings, first = self._settings(capture, rasterizer)
        run = self._run(capture, first, rasterizer)
        name = settings.reconstruct.tracker if self.tracks is None else self.tracks.stem
        target = self.json or run.path / f"bench-motion-{name}{'' if self.tracking == 'fast' else f'-{self.tracking}'}.json"
        if not os.access(target.parent, os.W_OK) or target.is_dir():  # said now and not after minutes of work
            raise InputError(f"{target} cannot be written: choose a file in a folder that is there with --json.")
        steps = settings.reconstruct.refine.steps
        title = f"{capture.name}, from frame {self.base}, {name} tracks ({self.tracking}), {steps} steps, {rasterizer.describe()}"
        result: BenchDone | None = None
        with traceback_in(target.parent / "run.log"), MotionTable(title) as table:
            if settings.base not in run.frames():
                from trackersplat.jobs.reconstruct import reconstruct

                for event in reconstruct(capture, run, [settings.base], first, rasterizer):
                    table.show(event)
            state = run.read_state(settings.base, rasterizer.device)
            for event in bench_motion(capture, state.gaussians, settings, rasterizer, state.colours):
                table.show(event)
                if isinstance(event, BenchDone):
                    result = event
        assert result is not None, "a bench ends with its result"
        write_json(target, self._record(capture, run, settings, rasterizer, result))
        print(printable(f"All numbers: {target}"))

    def _settings(self, capture: Capture, rasterizer: Rasterizer) -> tuple[MotionBenchSettings, ReconstructSettings]:
        from trackersplat.benchmarks.motion import MotionBenchSettings, check_distances
        from trackersplat.pipelines.settings import ReconstructSettings
        from trackersplat.pipelines.sources import motion_source
        from trackersplat.tracking.registry import TRACKERS, default_tracker
        from trackersplat.tracking.sources import reachable_targets

        check_numbers(self.seed, steps=self.steps, first_steps=self.first_steps, base=self.base)
        base = self.base - 1
        if base >= capture.frame_count - 1:
            raise InputError(f"--base must be from 1 to {capture.frame_count - 1}, a frame with others after it, got {self.base}.")
        tracker, tracking = track_settings(self.tracker or default_tracker(rasterizer.device.type), self.tracks, self.tracks_camera)
        motion_source(tracker, capture, rasterizer.device, tracking)  # an unknown name is said before anything is written
        stored = self.tracks is None and TRACKERS.facts(tracker).stored
        reached = tuple(frame - base for frame in reachable_targets(tracker, capture, capture.training_cameras, base, tracking))
        if self.distances is None:
            distances = tuple(d for d in reached if stored or d in DISTANCES)
        else:
            distances = _parse_distances(self.distances)
            check_distances(capture, base, distances)
            missing = [d for d in distances if d not in reached]
            if missing:
                raise InputError(f"The {tracker} tracks of {capture.name} reach the distances {_list(reached)}, not {_list(missing)}.")
        defaults = ReconstructSettings.for_device(rasterizer.device.type, tracker=tracker)
        matching = dataclasses.replace(defaults.motion.render_and_match, match_rounds=check_match_rounds(self.match_rounds))
        both = dataclasses.replace(
            defaults,
            tracking=defaults.tracking if tracking is None else tracking,
            motion=dataclasses.replace(defaults.motion, agreement=agreement_settings(self.tracking), render_and_match=matching),
            refine=dataclasses.replace(defaults.refine, steps=self.steps or defaults.refine.steps),
            seed=self.seed,
        )
        first = dataclasses.replace(defaults.first, steps=self.first_steps or defaults.first.steps)
        return MotionBenchSettings(base, distances, both), dataclasses.replace(defaults, first=first, seed=self.seed)

    def _run(self, capture: Capture, first: ReconstructSettings, rasterizer: Rasterizer) -> Run:
        """The run that has the base frame, or will have it."""
        from trackersplat.jobs.versions import versions
        from trackersplat.store.find import default_out
        from trackersplat.store.run import Run

        if self.run_folder is not None:
            run = Run.open(self.run_folder)
            check_run(run, capture, self.base - 1)
            return run
        ending = "-bench" if self.base == 1 else f"-bench-{self.base}"
        # Only what decides the base frame, so that it serves every tracker and every number of refinement steps.
        decisive = {key: value for key, value in first.to_json().items() if key in ("first", "metrics", "seed")}
        info = {"settings": {**decisive, "base": self.base}, **versions(rasterizer)}
        return Run.create(self.out or default_out(capture, ending), capture, info)

    def _record(
        self, capture: Capture, run: Run, settings: MotionBenchSettings, rasterizer: Rasterizer, result: BenchDone
    ) -> dict[str, Any]:
        from trackersplat.benchmarks.motion import finite, to_json
        from trackersplat.jobs.versions import versions

        held_out = [capture.cameras[index].name for index in capture.held_out_cameras]
        return {
            "bench": "motion",
            "capture": {
                "name": capture.name,
                "layout": capture.layout,
                "frames": capture.frame_count,
                "cameras": [{"name": camera.name, "width": camera.width, "height": camera.height} for camera in capture.cameras],
                "held_out": held_out,
            },
            "run": {"folder": str(run.path), "settings": finite(run.info.get("settings"))},
            "settings": {**finite(dataclasses.asdict(settings)), "base": self.base},
            **versions(rasterizer),
            "base": to_json(result.base),
            "distances": [to_json(row) for row in result.rows],
            "mean": to_json(result.mean),
        }


def check_run(run: Run, capture: Capture, base: int) -> None:
    """Raises InputError unless the run has the frame, of this capture, and did not look at what is to be measured."""
    if base not in run.frames():
        raise InputError(f"The run {run.path} has no frame {base + 1}: choose another --base, or leave out --run to have it fitted.")
    cameras = [camera.name for camera in capture.cameras]
    made_of = run.info.get("capture")
    if isinstance(made_of, dict) and made_of.get("cameras") not in (None, cameras):
        raise InputError(f"The run {run.path} is of other cameras than {capture.name}: choose a run of this capture.")
    trained = {capture.cameras[index].name for index in capture.held_out_cameras} - set(run.info.get("held_out") or cameras)
    if trained:
        raise InputError(
            f"The run {run.path} was trained on camera {_list(sorted(trained))}, which cannot be used to measure: hold out another camera."
        )


def _parse_distances(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[1-9]\d{0,8}", part) for part in parts):
        raise InputError(f"--distances must be whole numbers from 1 on, comma-separated, such as 1,2,4, got {text!r}.")
    return tuple(sorted({int(part) for part in parts}))


def _list(items: Iterable[int | str]) -> str:
    return ", ".join(map(str, items))
