"""How fast and how safe edits of the scene are.

python -m trackersplat.benchmarks.editing speed --gaussians 400000
python -m trackersplat.benchmarks.editing time --gaussians 400000 --frames 30
python -m trackersplat.benchmarks.editing kills --kills 50
python -m trackersplat.benchmarks.editing replay --edits 1000
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trackersplat.benchmarks.killed_edits import kill_editors
from trackersplat.benchmarks.made_run import write_made_run
from trackersplat.benchmarks.moving_scene import room_in_motion
from trackersplat.benchmarks.random_edits import compare_with_replay
from trackersplat.benchmarks.untouched import Untouched, delete_and_undo
from trackersplat.captures.camera import Camera
from trackersplat.document.document import Document
from trackersplat.document.kinds.delete import Delete
from trackersplat.document.kinds.hide import Hide
from trackersplat.document.kinds.transform import Transform
from trackersplat.document.scene_edit import Target
from trackersplat.document.selecting.attribute import AttributeRange
from trackersplat.document.selecting.brush import Brush
from trackersplat.document.selecting.click import Click
from trackersplat.document.selecting.in_camera import THROUGH, Looking
from trackersplat.document.selecting.neighbours import Connected, Grow
from trackersplat.document.selecting.polygon import Polygon
from trackersplat.document.selecting.through_time import ThroughTime
from trackersplat.document.selection import Selection

WIDTH, HEIGHT = 1280, 720
BORN = 200  # of the Gaussians of each later frame, one in so many is new


def room_camera() -> Camera:
    """Looks into the room of `moving_scene`."""
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    pose[:3, 3] = -pose[:3, :3] @ np.array([0.0, -3.8, 1.2])
    return Camera("front", WIDTH, HEIGHT, np.array([[700.0, 0, WIDTH / 2], [0, 700.0, HEIGHT / 2], [0, 0, 1]]), pose)


def lasso(x: float, y: float, radius: float, corners: int = 120) -> tuple[tuple[float, float], ...]:
    """A hand-drawn circle of px."""
    angles = [2 * math.pi * index / corners for index in range(corners)]
    return tuple((x + radius * (1 + 0.1 * math.sin(5 * a)) * math.cos(a), y + radius * math.sin(a)) for a in angles)


def measure_speed(count: int, folder: Path, repeats: int = 3) -> list[tuple[str, float, str]]:
    """(what, seconds of the fastest of some times, remark)."""
    scene, camera = room_in_motion(count), room_camera()
    run = write_made_run(folder / "run", [scene.at(frame) for frame in range(2)], [camera])
    rows: list[tuple[str, float, str]] = []

    def best(what: str, act: Callable[[], object], times: int = repeats) -> None:
        seconds, said = [], ""
        for _ in range(times):
            start = time.perf_counter()
            result = act()
            seconds.append(time.perf_counter() - start)
            said = f"{len(result):,} Gaussians" if hasattr(result, "__len__") else ""
        rows.append((what, min(seconds), said))

    best("open the document", lambda: Document.open(run.path) and None)
    document = Document.open(run)
    best("read the frame, first time", lambda: document.gaussians(0), 1)
    corners = lasso(WIDTH / 2, HEIGHT / 2, 250)
    through, visible = Looking("front", 0, THROUGH), Looking("front", 0)
    best("lasso through", lambda: document.select(Polygon(through, corners)))
    best("brush through", lambda: document.select(Brush(through, corners, 30.0)))
    document.select(Polygon(Looking("front", 1), corners))  # compiles the kernels
    best("lasso visible, first in this view", lambda: document.select(Polygon(visible, corners)), 1)
    best("lasso visible, again", lambda: document.select(Polygon(visible, corners)))
    best("click", lambda: document.select(Click(visible, WIDTH / 2, HEIGHT / 2)))
    best("range of opacity", lambda: document.select(AttributeRange("opacity", 0, 0.5)))
    chosen = document.select(Polygon(through, corners))
    everything = document.scene.all(0)
    best("count and highlight: rows of the selection", lambda: chosen.mask(document.ids(0)))
    best("count and highlight: rows of all", lambda: everything.mask(document.ids(0)))
    best("invert", lambda: chosen.invert(everything))
    best("grow", lambda: document.select(Grow(chosen, 0, 0.05)), 1)
    best("connected", lambda: document.select(Connected(chosen, 0)), 1)
    for what, edit in (("hide", Hide(Target.of(chosen))), ("delete", Delete(Target.of(chosen)))):
        if document.history.position:
            document.undo(document.history.position)
        best(f"{what}, written down", lambda edit=edit: document.do(edit), 1)  # type: ignore[misc]
        best(f"{what}, the frame after it", lambda: document.gaussians(0), 1)
    best("undo", document.undo, 1)
    best("undo, the frame after it", lambda: document.gaussians(0), 1)
    best("hide everything, written down", lambda: document.do(Hide(Target.of(everything))), 1)
    best("hide everything, the frame after it", lambda: document.gaussians(0), 1)
    document.undo()
    document.do(Transform(Target.of(chosen), translation=(0.1, 0.0, 0.0), rotation=(0.9, 0.1, 0.0, 0.0)))
    best("move and rotate, the frame after it", lambda: document.gaussians(0), 1)
    return rows


def measure_time(count: int, frames: int, folder: Path, seed: int = 0) -> tuple[list[tuple[str, float, float, str]], Untouched]:
    """(what, seconds of processor time, seconds, remark) of a lasso that is carried to all frames, in which many Gaussians are
    newborns; and what deleting all that changes."""
    scene, random = room_in_motion(count), np.random.default_rng(seed)
    there = len(scene.at(0))
    replaced = {frame: np.sort(random.choice(there, there // BORN, replace=False)).tolist() for frame in range(1, frames)}
    run = write_made_run(folder / "run", [scene.at(frame) for frame in range(frames)], [room_camera()], replaced)
    document = Document.open(run)
    rows: list[tuple[str, float, float, str]] = []

    def timed(what: str, act: Callable[[], Selection]) -> Selection:
        processor, start = time.process_time(), time.perf_counter()
        found = act()
        rows.append((what, time.process_time() - processor, time.perf_counter() - start, f"{len(found):,} Gaussians"))
        return found

    chosen = timed("lasso through", lambda: document.select(Polygon(Looking("front", 0, THROUGH), lasso(WIDTH / 2, HEIGHT / 2, 120))))
    timed("carried, frames read from the disk", lambda: document.select(ThroughTime(chosen, 0)))
    carried = timed("carried, again", lambda: document.select(ThroughTime(chosen, 0)))
    return rows, delete_and_undo(document, carried)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m trackersplat.benchmarks.editing", description=__doc__)
    parser.add_argument("what", choices=("speed", "time", "kills", "replay"))
    parser.add_argument("--gaussians", type=int, default=400_000)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="trackersplat-editing.") as name:
        folder = Path(name)
        if given.what == "speed":
            for what, seconds, said in measure_speed(given.gaussians, folder):
                print(f"{what:<45} {1000 * seconds:>8.0f} ms  {said}")
            return
        if given.what == "time":
            times, compared = measure_time(given.gaussians, given.frames, folder, given.seed)
            for what, processor, seconds, said in times:
                print(f"{what:<40} {processor:>7.1f} s of the processor, {seconds:>7.1f} s  {said}")
            print(compared.sentence())
            return
        scene = room_in_motion(4000 if given.what == "kills" else 1000)
        replaced = {1: range(100), 3: range(50, 120)}
        run = write_made_run(folder / "run", [scene.at(frame) for frame in range(5)], [room_camera()], replaced)
        if given.what == "kills":
            print(kill_editors(run.path, given.kills, given.seed).sentence())
            return
        plain = folder / "plain"
        shutil.copytree(run.path, plain)
        print(compare_with_replay(run.path, lambda index: _copy(plain, folder / f"copy{index}"), given.edits, given.seed, 100).sentence())


def _copy(source: Path, to: Path) -> Path:
    shutil.copytree(source, to)
    return to


if __name__ == "__main__":
    main()
