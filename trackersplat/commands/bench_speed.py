"""``trackersplat bench speed``: what a frame costs, on a scene that it makes itself."""

from __future__ import annotations

import dataclasses
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from trackersplat.commands.options import check_numbers
from trackersplat.commands.outcome import traceback_in
from trackersplat.commands.shown import printable
from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.benchmarks.moving_scene import MovingScene
    from trackersplat.benchmarks.speed import SpeedDone, SpeedSettings
    from trackersplat.captures.camera import Camera
    from trackersplat.pipelines.settings import ReconstructSettings
    from trackersplat.rendering.rasterizer import Rasterizer

MOST_VIEWS, MOST_SIDE, MOST_GAUSSIANS, MOST_FRAMES = 1000, 16384, 50_000_000, 100_000  # bounds of what is made


@dataclass(frozen=True)
class BenchSpeed:
    """Measure what a frame costs: seconds per stage, memory, bytes, quality.

    Makes a capture of a scene in exact motion, fits its first frame and reconstructs the others as `trackersplat
    reconstruct` does, several times on request. Beside it the same without motion and refinement: what decoding,
    measuring and writing alone cost.
    """

    views: int = 20
    """Training cameras. One more is held out."""
    size: str = "1352x1014"
    """Of the images, WIDTHxHEIGHT."""
    gaussians: int = 250_000
    """Of the scene, and the most of the fit."""
    frames: int = 9
    """Of the capture, the first one included."""
    batch: int = 4
    """Frames that share a base."""
    runs: int = 1
    """How often the moved frames are reconstructed; the table shows the spread."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Put the first frame of this run in motion, filmed by its cameras, instead of a made scene. --views then takes the first ones."""
    steps: int | None = None
    """Optimisation steps of a moved frame. Default: those of `trackersplat reconstruct`."""
    first_steps: int | None = None
    """Optimisation steps of the first frame. Default: those of `trackersplat reconstruct`."""
    device: str = "auto"
    """cpu, cuda, cuda:N, or several with commas between, as in `trackersplat reconstruct`. auto: the GPU if a back end for it works here,
    otherwise the CPU."""
    backend: str | None = None
    """Rendering back end. Default: the first that works here."""
    seed: int = 0
    """Seed of all random choices, 0 or more."""
    profile: bool = False
    """Watch one more batch with torch's profiler: share of the time in which the GPU works, and trace.json.gz for chrome://tracing."""
    out: Path = Path("output/bench-speed")
    """Folder for the capture, the first frame and the numbers. Emptied first, if it is of an earlier bench."""
    json: Path | None = None
    """File for all numbers. Default: bench-speed.json in the folder."""

    def run(self) -> None:
        from trackersplat.benchmarks.made_capture import write_capture
        from trackersplat.benchmarks.speed import RunMeasured, SpeedDone, bench_speed
        from trackersplat.commands.bench_speed_report import SpeedTable
        from trackersplat.files import write_json
        from trackersplat.geometry.devices import current
        from trackersplat.rendering.registry import choose_rasterizers

        width, height = self._checked_size()
        rasterizer, *others = choose_rasterizers(None if self.device == "auto" else self.device, self.backend)
        settings = self._settings(rasterizer)
        target = self.json or self.out / "bench-speed.json"
        self._make_folder()
        scene, cameras, held_out = self._scene(width, height, rasterizer)
        result: SpeedDone | None = None
        title = f"{len(cameras) - 1} views of {cameras[0].width}x{cameras[0].height}, batches of {self.batch}, "
        title += " + ".join(used.describe() for used in (rasterizer, *others))
        with traceback_in(self.out / "run.log"), SpeedTable(title) as table, current(rasterizer.device):
            rasterizer.prepare()
            table.say("making the capture")
            capture = write_capture(self.out / "capture", scene, cameras, held_out, self.frames, rasterizer)
            try:
                trace = self.out / "trace.json.gz" if self.profile else None
                for event in bench_speed(capture, self.out, settings, rasterizer, trace, others):
                    table.show(event)
                    if isinstance(event, SpeedDone):
                        result = event
                        write_json(target, self._record(result, settings, rasterizer))
                    elif isinstance(event, RunMeasured):
                        table.add(event)
            finally:
                capture.close()
        assert result is not None, "a bench ends with its result"
        print(printable(f"All numbers: {target}"))

    def _checked_size(self) -> tuple[int, int]:
        check_numbers(self.seed, steps=self.steps, first_steps=self.first_steps, runs=self.runs, batch=self.batch)
        limits = {"views": (2, MOST_VIEWS), "gaussians": (100, MOST_GAUSSIANS), "frames": (2, MOST_FRAMES)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"--{name} must be from {low} to {high:,}, got {getattr(self, name)}.")
        match = re.fullmatch(r"([1-9]\d{1,4})x([1-9]\d{1,4})", self.size)
        if match is None or max(int(match[1]), int(match[2])) > MOST_SIDE:
            raise InputError(f"--size must be WIDTHxHEIGHT such as 1352x1014, up to {MOST_SIDE} a side, got {self.size!r}.")
        return int(match[1]), int(match[2])

    def _settings(self, rasterizer: Rasterizer) -> SpeedSettings:
        from trackersplat.benchmarks.speed import SpeedSettings
        from trackersplat.pipelines.settings import ReconstructSettings

        own = ReconstructSettings.for_device(rasterizer.device.type)
        densify = dataclasses.replace(own.first.densify, cap=self.gaussians)
        first = dataclasses.replace(own.first, densify=densify, steps=self.first_steps or own.first.steps, measure_every=0)
        refine = dataclasses.replace(own.refine, steps=self.steps or own.refine.steps)
        made: ReconstructSettings = dataclasses.replace(
            own, first=first, refine=refine, batch=self.batch, seed=self.seed, metrics=("psnr", "ssim")
        )
        return SpeedSettings(made, self.frames, self.runs)

    def _make_folder(self) -> None:
        """An empty folder, unless it holds something else than an earlier bench."""
        mark = self.out / ".bench-speed"
        if self.out.exists() and (not self.out.is_dir() or (any(self.out.iterdir()) and not mark.is_file())):
            raise InputError(f"{self.out} holds something else than an earlier bench: choose another folder with --out.")
        try:
            if self.out.is_dir():
                shutil.rmtree(self.out)
            self.out.mkdir(parents=True)
            mark.touch()
        except OSError as error:
            raise InputError(f"{self.out} cannot be written ({error.strerror}): choose another folder with --out.") from error

    def _scene(self, width: int, height: int, rasterizer: Rasterizer) -> tuple[MovingScene, list[Camera], str]:
        """The scene on the device, its cameras, and which of them is held out."""
        from trackersplat.benchmarks.moving_scene import cameras_on_arc, room_in_motion, still_in_motion
        from trackersplat.store.run import Run

        if self.source is None:
            scene, cameras = room_in_motion(self.gaussians, self.seed), cameras_on_arc(self.views, width, height)
            return scene.to(rasterizer.device), cameras, cameras[-1].name
        run = Run.open(self.source)
        frame = run.frames()[0]
        cameras = list(run.read_cameras())
        if len(cameras) < 3:
            raise InputError(f"The run {self.source} names fewer than 3 cameras: give one of `trackersplat reconstruct`.")
        held_out = next((name for name in run.held_out if name in {camera.name for camera in cameras}), cameras[0].name)
        others = [camera for camera in cameras if camera.name != held_out][: self.views]
        chosen = [*others, next(camera for camera in cameras if camera.name == held_out)]
        if len({(camera.width, camera.height) for camera in chosen}) > 1:
            raise InputError(f"The cameras of {self.source} have different sizes: name a run whose cameras have one size.")
        return still_in_motion(run.read_frame(frame), chosen, seed=self.seed).to(rasterizer.device), chosen, held_out

    def _record(self, result: SpeedDone, settings: SpeedSettings, rasterizer: Rasterizer) -> dict[str, Any]:
        from trackersplat.benchmarks.motion import finite
        from trackersplat.jobs.versions import versions

        asked = {name: value for name, value in dataclasses.asdict(self).items() if name not in ("out", "json", "source")}
        return {
            "bench": "speed",
            "asked": {**asked, "from": None if self.source is None else str(self.source)},
            "settings": settings.reconstruct.to_json(),
            **versions(rasterizer),
            "first_frame": finite(dataclasses.asdict(result.first)),
            "runs": {method: [finite(dataclasses.asdict(cost)) for cost in costs] for method, costs in result.runs.items()},
            "gpu_busy": result.busy,
            "kernels": None if result.kernels is None else dataclasses.asdict(result.kernels),
        }
