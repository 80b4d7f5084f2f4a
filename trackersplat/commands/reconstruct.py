"""``trackersplat reconstruct``: frames of a capture into a run folder."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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

if TYPE_CHECKING:
    from trackersplat.captures.capture import Capture
    from trackersplat.pipelines.settings import ReconstructSettings
    from trackersplat.rendering.rasterizer import Rasterizer


@dataclass(frozen=True)
class Reconstruct:
    """Reconstruct frames of a capture into a run folder; frames that are there already are kept."""

    capture: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, or "demo"."""
    frames: str = "all"
    """A:B (frames A to B, counted from 1, both included), one number, or all."""
    redo: str | None = None
    """A:B, one number, or stale: make these frames again in place, with the edits of the run, and no others. Not outside --frames."""
    keep_deleted: bool = False
    """Reconstruct also what the document of the run deletes (`trackersplat edit`). Default: it is left out."""
    out: Path | None = None
    """Run folder. Default: output/NAME in the working folder, or output/NAME-HASH if that holds something else."""
    pipeline: str = "base-propagate"
    """base-propagate moves the Gaussians by point tracks and then refines; train-base refines without moving first."""
    tracker: str | None = None
    """Point tracker; `trackersplat trackers` lists them. Default: dis on a CPU, dis-gpu on a GPU."""
    tracks: Path | None = None
    """Read tracks from this file instead of tracking: 3D tracks of any format in docs/tracks.md, or a folder of 2D tracks with one file
    per camera."""
    tracks_camera: str | None = None
    """The camera in whose frame the tracks of the file are, where the file has no extrinsics."""
    tracker_failure: Literal["stop", "keep"] = "stop"
    """What follows where the tracker fails: stop, or keep the Gaussians of the base frame, refine them and go on."""
    track_cache: Path | None = None
    """Folder that keeps what learned trackers answer, at most 20 GiB. Default: nothing is kept."""
    tracking: Literal["fast", "accurate"] = "fast"
    """fast: tracks of every view as the tracker finds them. accurate: those of all views joined by the places of the points in space."""
    match_rounds: int = 1
    """Rounds of render-and-match, at most: where tracks are unreliable, the moved scene is rendered and matched with the images.
    0 is faster."""
    batch: int = 1
    """Target frames that share one base frame."""
    steps: int | None = None
    """Optimisation steps of a moved frame. Default: 100 on a CPU, 80 on a GPU, where no tracks move it 200."""
    first_steps: int | None = None
    """Optimisation steps of a frame that is fitted from scratch. Default: 1000."""
    points: str = "auto"
    """How first points are found; auto chooses by the arrangement of the cameras. docs/method.md lists the strategies."""
    densify: str = "error"
    """How a first frame gets more Gaussians: error (where the picture is wrong), mcmc, or default (by gradients, as 3DGS)."""
    refinement: str = "adam"
    """Refinement of moved frames. The default is adam."""
    hold_out: HoldOut = ()
    """Held-out cameras (comma-separated names, or the option several times): used only to measure. Default: those of the capture."""
    seed: int = 0
    """Seed of all random choices, 0 or more. On a CPU, the same seed on the same machine gives the same result."""
    device: str = "auto"
    """cpu, cuda, cuda:N, or several with commas between: the first finds the motions, the others refine the frames of a batch meanwhile.
    auto: the GPU if a back end for it works here, otherwise the CPU."""
    backend: str | None = None
    """Rendering back end. Default: the first that works here. `trackersplat doctor` lists them."""
    weights: Path | None = None
    """Folder with the networks' weights of LPIPS. Default: torch's own cache. Nothing is downloaded."""
    keep: Literal["compact", "ply"] | None = None
    """In which form frames are kept. compact: quantised, 6 % of the size of PLY files; also exactly only while a missing frame starts from
    them. ply: PLY files, as they were computed. Default: as the run has it; a new one compact."""
    compact: bool = False
    """At the end, keep all frames in the compact form alone, also those that a missing frame would start from."""
    events: Literal["text", "json"] = "text"
    """json: one event a line on standard output, for programs."""

    def run(self) -> None:
        from trackersplat.captures.readable import require_readable
        from trackersplat.captures.registry import open_capture
        from trackersplat.commands.terminal import JsonLines, TextProgress, print_frames
        from trackersplat.geometry.devices import current
        from trackersplat.jobs.edits import frames_to_redo
        from trackersplat.jobs.plan import parse_frames
        from trackersplat.jobs.reconstruct import reconstruct
        from trackersplat.jobs.versions import versions
        from trackersplat.rendering.registry import choose_rasterizers
        from trackersplat.store.run import COMPACT, KEEP, Run

        capture = open_capture(self.capture)
        if self.hold_out:
            capture = with_held_out(capture, self.hold_out)
        frames = parse_frames(self.frames, capture.frame_count)
        rasterizer, *others = choose_rasterizers(None if self.device == "auto" else self.device, self.backend)
        settings = self._settings(capture, rasterizer)
        info = {"settings": settings.to_json(), KEEP: self.keep or COMPACT, "warnings": list(capture.warnings), **versions(rasterizer)}
        if capture.origin is not None:
            info["origin"] = capture.origin.tolist()
        require_readable(capture, frames[0])  # before anything is written
        run = Run.create(self.out or self._default_out(capture), capture, info)
        if self.keep is not None:
            run.require_keep(self.keep)
        reporter = JsonLines() if self.events == "json" else TextProgress(capture)
        with traceback_in(run.path / "run.log"), reporter, run.writing(), current(rasterizer.device):
            redo = frozenset[int]() if self.redo is None else frames_to_redo(run, self.redo, frames)
            wanted = frames if self.redo is None else sorted(redo)
            events = reconstruct(
                capture, run, wanted, settings, rasterizer,
                redo=redo, keep_deleted=self.keep_deleted, weights=self.weights, track_cache=self.track_cache, others=others,
            )  # fmt: skip
            for event in events:
                reporter.show(event)
        if self.compact:
            run.compact()
        if self.events == "text":
            print_frames(run, frames)

    def _default_out(self, capture: Capture) -> Path:
        from trackersplat.store.find import default_out, plain_out

        out, plain = default_out(capture), plain_out(capture)
        if out != plain:
            note = f"note: {plain} holds something else than a run of {capture.root}, so this run goes into {out}."
            print(printable(note), file=sys.stderr)
        return out

    def _settings(self, capture: Capture, rasterizer: Rasterizer) -> ReconstructSettings:
        """Raises InputError if a name is unknown or a number out of range: before anything is written."""
        from trackersplat.pipelines.registry import PIPELINES
        from trackersplat.pipelines.settings import ReconstructSettings
        from trackersplat.pipelines.sources import motion_source
        from trackersplat.tracking.registry import default_tracker
        from trackersplat.training.points.registry import POINT_STRATEGIES

        tracker, tracking = track_settings(self.tracker or default_tracker(rasterizer.device.type), self.tracks, self.tracks_camera)
        if PIPELINES.facts(self.pipeline).tracks:
            source = motion_source(tracker, capture, rasterizer.device, tracking)
            for text in getattr(source, "remarks", ()):
                print(printable(f"note: {text}"), file=sys.stderr)
        if self.points != "auto":
            POINT_STRATEGIES.facts(self.points)
        check_numbers(self.seed, steps=self.steps, first_steps=self.first_steps, batch=self.batch)
        settings = ReconstructSettings.for_device(
            rasterizer.device.type,
            tracker=tracker,
            refinement=self.refinement,
            pipeline=self.pipeline,
            moved=PIPELINES.facts(self.pipeline).tracks,
        )
        first = settings.first.with_strategy(self.densify)
        first = dataclasses.replace(
            first, steps=self.first_steps or first.steps, points=dataclasses.replace(first.points, strategy=self.points)
        )
        matching = dataclasses.replace(settings.motion.render_and_match, match_rounds=check_match_rounds(self.match_rounds))
        return dataclasses.replace(
            settings,
            tracking=settings.tracking if tracking is None else tracking,
            motion=dataclasses.replace(settings.motion, agreement=agreement_settings(self.tracking), render_and_match=matching),
            batch=self.batch,
            tracker_failure=self.tracker_failure,
            seed=self.seed,
            refine=dataclasses.replace(settings.refine, steps=self.steps or settings.refine.steps),
            first=first,
        )
