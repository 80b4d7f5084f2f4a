"""``trackersplat tracks``: 3D tracks of points, from the 2D tracks of all views or from the truth of a capture."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from trackersplat.commands.shown import printable
from trackersplat.errors import InputError

if TYPE_CHECKING:
    import torch

    from trackersplat.captures.capture import Capture
    from trackersplat.motion.lifting.lift import LiftedTracks
    from trackersplat.motion.lifting.queries import Follow, RenderedScene
    from trackersplat.rendering.rasterizer import Rasterizer
    from trackersplat.store.run import Run
    from trackersplat.tracking.tracks3d import Tracks3D

MOST_QUERIES = 100_000  # points that are followed at once
NO_TRACKERS = CHAIN, GAUSSIANS, TRUTH = "chain", "gaussians", "truth"  # what --tracker may name beside the trackers


@dataclass(frozen=True)
class MakeTracks:
    """Follow points through a capture in all training cameras, and write their 3D tracks as a TAPVid-3D file.

    A tracker follows each point in every view that sees it, and robust triangulation makes a position where views agree. Where they do
    not, the track has a gap. With a run, its Gaussians tell which views see a point; without, every view is asked into which it falls.
    A tracker in 3D answers with positions itself; it needs the run, for the depths of every frame. `--tracker gaussians` asks no tracker:
    points move as the Gaussians of the run around them do.
    The file is read by `trackersplat reconstruct --tracks` and `trackersplat evaluate tracks`.
    """

    capture: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, or "demo"."""
    out: Path
    """The file to write, an .npz."""
    points: str = "surface"
    """Where tracks begin: surface (a grid of pixels of --camera in the first frame, on the Gaussians of --run), truth (where each point of
    gt/tracks.npz is first seen), or a text file with a line of frame, x, y, z for each point, frames counted from 1."""
    run_folder: Annotated[Path | None, tyro.conf.arg(name="run")] = None
    """The run whose Gaussians hide points."""
    tracker: str = "dis"
    """Point tracker; or gaussians, whose tracks are those that the run implies; or chain, plain DIS flow from frame to frame, for
    comparison; or truth, which writes those of gt/tracks.npz."""
    tracking: Literal["fast", "accurate"] = "fast"
    """accurate: the tracks of the views are joined by the places of the points in space before they are lifted."""
    frames: str = "all"
    """A:B (frames A to B, counted from 1, both included), or all."""
    camera: str | None = None
    """The camera in whose frame the file keeps positions, and whose image the grid is on. Default: the first training camera."""
    grid: int = 8
    """Distance of the points of the grid in pixels."""
    images: bool = True
    """Keep the images of the camera in the file, as TAPVid-3D does."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if a back end for it works here, otherwise the CPU."""

    def run(self) -> None:
        from trackersplat.captures.registry import open_capture
        from trackersplat.jobs.plan import parse_frames
        from trackersplat.tracking.files.formats import tapvid3d

        if self.grid < 1:
            raise InputError(f"--grid must be 1 or more, got {self.grid}.")
        if self.out.suffix != ".npz" or not self.out.absolute().parent.is_dir():
            raise InputError(f"{self.out} cannot be written: --out must be an .npz file in a folder that is there.")
        capture = open_capture(self.capture)
        try:
            camera = capture.training_cameras[0] if self.camera is None else capture.camera_index(self.camera)
            frames = tuple(parse_frames(self.frames, capture.frame_count))
            tracks = self._tracks(capture, camera, frames)
            images = [capture.image(camera, frame) for frame in tracks.frames] if self.images else None
            tapvid3d.write(self.out, tracks, capture.cameras[camera], images)
        finally:
            capture.close()
        known = tracks.known[np.array(tracks.frames)[:, None] >= tracks.query_frames]
        gaps = 1 - float(known.mean()) if known.size else 0.0
        print(printable(f"{len(tracks):,} tracks over {len(tracks.frames)} frames, {gaps:.1%} of their positions are gaps: {self.out}"))

    def _tracks(self, capture: Capture, camera: int, frames: tuple[int, ...]) -> Tracks3D:
        from trackersplat.rendering.registry import choose_rasterizer
        from trackersplat.tracking.registry import TRACKERS

        carried = self.tracker == GAUSSIANS
        in_space = self.tracker not in (CHAIN, GAUSSIANS, TRUTH) and TRACKERS.facts(self.tracker).three_d
        if self.tracking == "accurate" and (in_space or self.tracker in (CHAIN, GAUSSIANS, TRUTH)):
            raise InputError(
                f"--tracking accurate joins what a tracker in 2D finds in the views: leave it out with --tracker {self.tracker}."
            )
        if self.tracker == TRUTH:
            return self._truth(capture, frames)
        wants_run = carried or in_space
        if wants_run and self.run_folder is None:
            why = "carries points with the Gaussians" if carried else "needs depths, which are rendered from the frames"
            raise InputError(f"The tracker {self.tracker} {why} of a run: give one with --run.")
        rasterizer = choose_rasterizer(None if self.device == "auto" else self.device)
        run = None if self.run_folder is None else _run(self.run_folder, capture)
        scene = None if run is None else _scene(run, rasterizer)
        query = self._queries(capture, camera, frames, scene)
        if not 0 < len(query) <= MOST_QUERIES:
            raise InputError(f"There are {len(query):,} points to follow; choose from 1 to {MOST_QUERIES:,} with --points or --grid.")
        if carried and run is not None and scene is not None:
            from trackersplat.motion.lifting.carried import carried_tracks

            return carried_tracks(capture, query, frames, scene, run.lineage().of)
        return self._followed(capture, query, frames, rasterizer, scene)

    def _truth(self, capture: Capture, frames: tuple[int, ...]) -> Tracks3D:
        from trackersplat.tracking.truth_tracks import truth_tracks

        tracks = truth_tracks(capture)
        if frames != tracks.frames:
            raise InputError("The truth is written for all frames: leave out --frames.")
        return tracks

    def _followed(
        self, capture: Capture, query: np.ndarray, frames: tuple[int, ...], rasterizer: Rasterizer, scene: RenderedScene | None
    ) -> Tracks3D:
        from trackersplat.motion.lifting.in_space import follow_in_space
        from trackersplat.motion.lifting.queries import PointTracking, follow_queries
        from trackersplat.tracking.registry import TRACKERS, create_tracker, licence_remark

        if self.tracker != CHAIN and (remark := licence_remark(self.tracker)) is not None:
            print(printable(f"note: {remark}"), file=sys.stderr)
        if self.tracker != CHAIN and TRACKERS.facts(self.tracker).three_d and scene is not None:
            tracker: Any = create_tracker(self.tracker, rasterizer.device)
            tracks, remarks = follow_in_space(tracker, capture, capture.training_cameras, query, frames, scene)
            for text in remarks:
                print(printable(f"note: {text}"), file=sys.stderr)
            return tracks
        how = PointTracking(self.tracker, follow=self._follow(capture, rasterizer.device))
        lifted = follow_queries(capture, query, frames, how, rasterizer.device, scene)
        print(printable(report(lifted)))
        return lifted.tracks

    def _follow(self, capture: Capture, device: torch.device) -> Follow | None:
        """How points are followed in the views, where not by the tracker in each of them."""
        if self.tracker == CHAIN:
            from trackersplat.benchmarks.plain_chain import chain

            return partial(chain, capture)
        if self.tracking == "accurate":
            from trackersplat.benchmarks.agreeing_tracks import agreeing_points

            return partial(agreeing_points, self.tracker, capture, device, None)
        return None

    def _queries(self, capture: Capture, camera: int, frames: tuple[int, ...], scene: RenderedScene | None) -> np.ndarray:
        from trackersplat.motion.lifting.queries import surface_queries
        from trackersplat.tracking.truth_tracks import truth_tracks

        if self.points == "truth":
            query = truth_tracks(capture).query
            return query[np.isin(query[:, 0], frames)]
        if self.points == "surface":
            if scene is None:
                raise InputError("--points surface needs the Gaussians of a run: give one with --run, or a file of points with --points.")
            return surface_queries(capture, scene, frames[0], camera, self.grid)
        return read_points(Path(self.points), frames)


def read_points(path: Path, frames: tuple[int, ...]) -> np.ndarray:
    """(P, 4) queries, frames counted from 0. Raises InputError unless each line holds a frame and three coordinates."""
    from trackersplat.files import read_text

    rows = []
    for number, line in enumerate(read_text(path, 64 << 20).splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            frame, *point = map(float, words)
        except ValueError:
            point = []
        if len(point) != 3 or not np.isfinite(point).all() or frame - 1 not in frames:
            raise InputError(f"{path}, line {number}: expected a frame that is tracked, counted from 1, and x, y, z, got {line[:80]!r}.")
        rows.append((frame - 1, *point))
    return np.array(rows, np.float64).reshape(-1, 4)


def report(lifted: LiftedTracks) -> str:
    """What can be said of lifted tracks without truth, in a sentence."""
    after = np.array(lifted.tracks.frames)[:, None] > lifted.tracks.query_frames
    number = lifted.agrees.sum(0)[after & lifted.tracks.known]
    if not len(number):
        return "No position was found after the queries."
    residual, apart = lifted.residual_px[lifted.agrees], lifted.left_out_px[lifted.agrees]
    apart = apart[np.isfinite(apart)]
    left_out = f", {np.median(apart):.2f} px against the other views alone" if len(apart) else ""
    return (
        f"Positions come from {np.mean(number):.1f} views in the mean; median error in a view {np.median(residual):.2f} px{left_out}, "
        f"parallax {np.degrees(np.median(lifted.parallax[after & lifted.tracks.known])):.0f} degrees."
    )


def _run(folder: Path, capture: Capture) -> Run:
    from trackersplat.store.run import Run

    run = Run.open(folder)
    difference = run.difference(capture)
    if difference is not None:
        raise InputError(f"{folder} is not a run of {capture.name}: {difference}. Give one of this capture with --run.")
    return run


def _scene(run: Run, rasterizer: Rasterizer) -> RenderedScene:
    from trackersplat.motion.lifting.queries import RenderedScene

    there = set(run.frames())
    return RenderedScene(lambda frame: run.read_frame(frame).to(rasterizer.device) if frame in there else None, rasterizer)
