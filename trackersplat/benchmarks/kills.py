"""What is lost when a process is killed at a random moment: ``python -m trackersplat.benchmarks.kills --kills 100``.

Each scenario is a command on a tiny capture: it is killed (SIGKILL) again and again, at a random time or before a random operation on
files, until one attempt gets to its end. After every kill all frames that were finished must be readable; in the end the files must be
those of a process that was not killed, byte for byte but for times, and nothing may be left behind.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from trackersplat.files import write_json
from trackersplat.store.run import Run

CAMERAS = ("cam01", "cam02", "cam03", "cam08")
FRAMES = 4
HELD_OUT = "cam08"
STEPS = ("--first-steps", "10", "--steps", "2", "--points", "patches", "--match-rounds", "0")
# Operations on files before which a process may kill itself, by the names of Python's audit events.
_OPERATIONS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
_THERE = "is there already"
_TIMES = {"seconds", "unpacked"}  # keys of JSON that tell times
_PRELOAD = [
    "tyro", "trackersplat.jobs.reconstruct", "trackersplat.rendering.registry", "trackersplat.sfm.prepare",
    "trackersplat.commands.reconstruct", "trackersplat.pipelines.base_propagate", "trackersplat.rendering.backends.portable",
    "trackersplat.training.first_frame.fit", "trackersplat.training.points.strategies.patches", "trackersplat.training.refine.on_device",
    "trackersplat.tracking.trackers.dis.tracker",
]  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """A command that is killed. ``{work}`` in an argument is the folder that it works in."""

    name: str
    arguments: tuple[str, ...]
    before: tuple[str, ...] | None = None  # another command, which is not killed and comes first
    run: str = ""  # the run folder in {work}, if it writes frames
    refused: str = ""  # words with which it refuses to do once more what was killed after it was done


@dataclass
class Outcome:
    """Of the kills of one scenario, or of all."""

    kills: int = 0
    finished: int = 0  # times that the command got to its end after kills
    lost: list[str] = field(default_factory=list)  # frames that were finished before and cannot be read
    different: list[str] = field(default_factory=list)  # files that differ from those of an unkilled process
    left: list[str] = field(default_factory=list)  # files that are left behind at the end
    failed: list[str] = field(default_factory=list)  # commands that ended with another exit code than 0

    def add(self, other: Outcome) -> None:
        self.kills += other.kills
        self.finished += other.finished
        for name in ("lost", "different", "left", "failed"):
            getattr(self, name).extend(getattr(other, name))

    def sentence(self) -> str:
        return (
            f"{self.kills:>4} kills, {self.finished:>3} finished after them: {len(self.lost)} frames lost, {len(self.different)} files "
            f"different, {len(self.left)} left behind, {len(self.failed)} commands failed"
        )


def scenarios(capture: Path, archive: Path) -> list[Scenario]:
    """Over all stages: first frame, batches, writing both forms, compacting once and once more, exporting, unpacking and preparing."""
    reconstruct = ("reconstruct", str(capture), "--out", "{work}/run", "--batch", "2", "--events", "json", *STEPS, "--frames")
    found = [
        Scenario("reconstruct", (*reconstruct, "1:4"), run="run"),
        Scenario("reconstruct --compact", (*reconstruct, "1:3", "--compact"), run="run"),
        Scenario("reconstruct --keep ply", (*reconstruct, "1:3", "--keep", "ply"), run="run"),
        Scenario("compact", ("compact", "{work}/run"), (*reconstruct, "1:4", "--keep", "ply"), "run"),
        Scenario("compact again", (*reconstruct, "1:4", "--compact"), (*reconstruct, "1:3", "--compact"), "run"),
        Scenario("export ply", ("export", "{work}/run", "--out", "{work}/plys"), (*reconstruct, "1:2"), "run", _THERE),
        Scenario(
            "export sequence", ("export", "{work}/run", "--out", "{work}/seq", "--format", "sequence"), (*reconstruct, "1:2"), "run", _THERE
        ),
    ]
    if find_spec("pycolmap") is not None:
        found.append(Scenario("prepare", ("prepare", str(archive), "--out", "{work}/ready")))
    return found


class Killer:
    """Runs commands in processes that are forked from one that has imported everything, and kills them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(_PRELOAD)
        self._references: dict[str, Path] = {}
        self._lengths: dict[str, tuple[float, int]] = {}  # of an unkilled command: seconds, operations on files

    def attack(self, scenario: Scenario, kills: int) -> Outcome:
        """Kills the command at least ``kills`` times."""
        outcome = Outcome()
        while outcome.kills < kills:
            self._until_finished(scenario, outcome, most=kills - outcome.kills)
        return outcome

    def _until_finished(self, scenario: Scenario, outcome: Outcome, most: int) -> None:
        reference = self._reference(scenario)
        work = self._work_folder(scenario)
        seconds, operations = self._lengths[scenario.name]
        told: set[int] = set()
        for attempt in range(most + 1):
            present = _frames(work / scenario.run) if scenario.run else set()
            after, before_operation = None, None
            if attempt < most:
                if self._random.random() < 0.5:
                    after = self._random.uniform(0, seconds)
                else:
                    before_operation = self._random.randrange(1, operations + 1)
            code, _, _ = self._run(scenario.arguments, work, after, before_operation)
            told |= _told(work / "stdout")
            if scenario.run:
                lost = (present | told) - _frames(work / scenario.run)
                outcome.lost += [f"{scenario.name}: frame {frame + 1}" for frame in sorted(lost)]
            if code == -signal.SIGKILL:
                outcome.kills += 1
                continue
            if code != 0 and not (code == 2 and scenario.refused and scenario.refused in (work / "stderr").read_text()):
                outcome.failed.append(f"{scenario.name}: exit code {code}: {(work / 'stderr').read_text()[-300:]}")
            break
        outcome.finished += 1
        expected, found = contents(reference), contents(work)
        names = sorted(name for name in {*expected, *found} if not is_leftover(name))
        outcome.different += [f"{scenario.name}: {name}" for name in names if expected.get(name) != found.get(name)]
        outcome.left += [f"{scenario.name}: {name}" for name in found if is_leftover(name)]
        shutil.rmtree(work)

    def _reference(self, scenario: Scenario) -> Path:
        """The folder that an unkilled process left."""
        if scenario.name not in self._references:
            work = self._work_folder(scenario)
            if not self._lengths:
                self._run(scenario.arguments, self._work_folder(scenario))  # compiles kernels, which takes longer than all else
            code, seconds, operations = self._run(scenario.arguments, work)
            if code != 0:
                raise InputError(f"{' '.join(scenario.arguments)} fails without a kill: {(work / 'stderr').read_text()[-300:]}")
            self._references[scenario.name] = work
            self._lengths[scenario.name] = seconds, operations
        return self._references[scenario.name]

    def _work_folder(self, scenario: Scenario) -> Path:
        """A new folder, in which the command that comes first was run."""
        place = Path(tempfile.mkdtemp(dir=self._folder))
        if scenario.before is None:
            return place
        key = "before " + " ".join(scenario.before)
        if key not in self._references:
            self._references[key] = Path(tempfile.mkdtemp(dir=self._folder))
            code, _, _ = self._run(scenario.before, self._references[key])
            if code != 0:
                raise InputError(f"{' '.join(scenario.before)} fails without a kill.")
        shutil.copytree(self._references[key], place, dirs_exist_ok=True)
        return place

    def _run(
        self, arguments: Sequence[str], work: Path, after: float | None = None, before_operation: int | None = None
    ) -> tuple[int, float, int]:
        """Exit code, seconds and operations on files. Killed after some seconds, or before an operation, if that is given."""
        (work / "tmp").mkdir(exist_ok=True)
        given = tuple(argument.format(work=work) for argument in arguments)
        counted = self._processes.RawValue("q", 0)
        process = self._processes.Process(target=_command, args=(given, work, before_operation, counted))
        began = time.perf_counter()
        process.start()
        process.join(after)
        if process.is_alive():
            process.kill()
            process.join()
        assert process.exitcode is not None
        return process.exitcode, time.perf_counter() - began, counted.value


def _command(arguments: tuple[str, ...], work: Path, before_operation: int | None, counted: Any) -> None:
    """In the process that may be killed."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(work / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    os.environ["TMPDIR"] = str(work / "tmp")
    tempfile.tempdir = None
    os.chdir(work)

    def count(event: str, values: tuple[Any, ...]) -> None:
        if event in _OPERATIONS and (event != "open" or _writes(values)):
            counted.value += 1
            if counted.value == before_operation:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    sys.argv = ["trackersplat", *arguments]
    runpy.run_module("trackersplat.cli", run_name="__main__")


def _writes(values: tuple[Any, ...]) -> bool:
    """Whether a file is opened for writing."""
    return isinstance(values[2], int) and bool(values[2] & (os.O_WRONLY | os.O_RDWR))


def _frames(run: Path) -> set[int]:
    """The frames that can be read."""
    if not (run / "run.json").is_file():
        return set()
    opened = Run.open(run)
    found = set()
    for frame in opened.frames():
        try:
            opened.read_frame(frame)
        except InputError:
            continue
        found.add(frame)
    return found


def _told(output: Path) -> set[int]:
    """The frames that a process said are on disk."""
    lines = output.read_text().splitlines() if output.is_file() else []
    events = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    return {event["frame"] for event in events if event["event"] == "FrameDone"}


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder by name, without what tells times or the place of the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and name not in ("stdout", "stderr"):
            found[name] = _timeless(path, folder)
    return found


def is_leftover(name: str) -> bool:
    """Whether a file is one that only a killed process leaves."""
    parts = Path(name).parts
    return parts[0] == "tmp" or parts[-1] == "preview.ply" or any(part.startswith(".") for part in parts)


def _timeless(path: Path, folder: Path) -> bytes:
    if path.name == "metrics.csv":
        return "\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()).encode()
    content = path.read_bytes().replace(str(folder).encode(), b"")
    if path.suffix != ".json":
        return content.replace(folder.name.encode(), b"")
    return json.dumps(_without_times(json.loads(content))).encode()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in _TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def write_capture(folder: Path, width: int, height: int) -> Path:
    """An image folder of some cameras and frames of the demo, made smaller."""
    demo = open_capture("demo")
    entries = []
    for name in CAMERAS:
        index = demo.camera_index(name)
        camera: Camera = demo.cameras[index].resized(width, height)
        entries.append({"name": name, "K": camera.K.tolist(), "w2c": camera.world_to_camera.tolist()})
        (folder / "images" / name).mkdir(parents=True)
        for frame in range(FRAMES):
            small = cv2.resize(demo.image(index, frame), (width, height), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / "images" / name / f"{frame + 1:04d}.png"), np.ascontiguousarray(small[..., ::-1]))
    demo.close()
    data = {"cameras": entries, "width": width, "height": height, "fps": 30, "frames": FRAMES, "held_out": [HELD_OUT]}
    write_json(folder / "cameras.json", data)
    return folder


def write_archive(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, Path(folder.name) / file.relative_to(folder))
    return path


def attack_all(folder: Path, kills: int, seed: int, only: Sequence[str], say: Callable[[str], None]) -> Outcome:
    """All scenarios, or those of these names, with about equally many kills."""
    capture = write_capture(folder / "tiny", 64, 48)
    archive = write_archive(folder / "large.zip", write_capture(folder / "large", 320, 240))
    chosen = [scenario for scenario in scenarios(capture, archive) if not only or scenario.name in only]
    killer, total = Killer(folder, seed), Outcome()
    for number, scenario in enumerate(chosen):
        share = kills * (number + 1) // len(chosen) - kills * number // len(chosen)
        outcome = killer.attack(scenario, share)
        say(f"{scenario.name:<22} {outcome.sentence()}")
        total.add(outcome)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills commands at random moments and counts what is lost.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="names of scenarios")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trackersplat-kills-") as folder:
        total = attack_all(Path(folder), options.kills, options.seed, options.only, lambda line: print(line, flush=True))
    print(f"{'all':<22} {total.sentence()}")
    bad = [*total.lost, *total.different, *total.left, *total.failed]
    for line in bad[:40]:
        print(line)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
