"""Files of Gaussians of others become a run that everything opens."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from trackersplat.captures.registry import open_capture
from trackersplat.cli import main
from trackersplat.document.document import Document
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.gaussians.around import UPS, cameras_around
from trackersplat.gaussians.exporters.exporter import About
from trackersplat.gaussians.exporters.registry import EXPORTERS
from trackersplat.gaussians.exporters.splat import write_splat
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply
from trackersplat.gaussians.readers.reader import GaussianFile, read_gaussians
from trackersplat.jobs import import_sources
from trackersplat.jobs.export_events import FileDone, Said
from trackersplat.jobs.import_frames import ImportSettings, import_frames
from trackersplat.jobs.import_sources import find_files
from trackersplat.jobs.reconstruct import reconstruct
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.find import default_out, find_runs
from trackersplat.store.run import Run


def gaussians(frame: int, count: int = 40) -> Gaussians:
    """A third of them move."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(count, 3), (count, 4), (count, 3), (count,), (count, 4, 3)]
    made = Gaussians(*(torch.randn(shape, generator=generator) for shape in shapes))
    made.means[: count // 3] += 0.05 * frame
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plys").mkdir()
    for number, frame in ((2, 0), (9, 1), (10, 2)):  # by their numbers, not by their letters
        write_ply(tmp_path / "plys" / f"cloud_{number}.ply", gaussians(frame))
    return tmp_path / "plys"


def imported(path: Path, out: Path, settings: ImportSettings | None = None) -> tuple[Run, list[Event]]:
    events = list(import_frames(path, out, settings or ImportSettings()))
    assert isinstance(events[-1], FileDone)
    return Run.open(out), events


def said(events: list[Event]) -> str:
    return " ".join(event.text for event in events if isinstance(event, Said))


def test_a_numbered_sequence_becomes_one_lineage_of_the_same_bits(folder: Path, tmp_path: Path) -> None:
    run, events = imported(folder, tmp_path / "run")
    assert run.frames() == (0, 1, 2)
    for frame in range(3):
        assert all(torch.equal(tensor, gaussians(frame).tensors()[name]) for name, tensor in run.read_frame(frame).tensors().items())
        assert run.lineage().origin(frame) == 0
    assert "taken as the same Gaussians" in said(events)
    document = Document.open(run)
    document.apply([{"edit": "delete", "selection": {"ids": [int(document.ids(0)[3])]}}])
    assert [len(document.gaussians(frame)) for frame in range(3)] == [39, 39, 39]


def test_frames_whose_rows_are_others_are_scenes_of_their_own(folder: Path, tmp_path: Path) -> None:
    order = torch.randperm(40, generator=torch.Generator().manual_seed(5))
    write_ply(folder / "cloud_9.ply", gaussians(1)[order])
    run, events = imported(folder, tmp_path / "run")
    assert [run.lineage().origin(frame) for frame in range(3)] == [0, 1, 2]
    assert "each frame is taken as a scene of its own" in said(events)
    run, _ = imported(folder, tmp_path / "same", ImportSettings(same="yes"))
    assert [run.lineage().origin(frame) for frame in range(3)] == [0, 0, 0]


def test_a_scene_that_moves_as_a_whole_keeps_its_lineage(tmp_path: Path) -> None:
    for frame in range(2):
        moved = gaussians(0)
        write_ply(tmp_path / f"f{frame}.ply", replace(moved, means=moved.means + 7.0 * frame))
    run, _ = imported(tmp_path, tmp_path / "run")
    assert run.lineage().origin(1) == 0


def test_different_numbers_of_gaussians_are_scenes_of_their_own_or_refused(folder: Path, tmp_path: Path) -> None:
    write_ply(folder / "cloud_10.ply", gaussians(2, 30))
    run, events = imported(folder, tmp_path / "run")
    assert "different numbers of Gaussians" in said(events)
    assert [len(run.read_frame(frame)) for frame in range(3)] == [40, 40, 30]
    with pytest.raises(InputError, match="has 30 Gaussians, the first frame 40"):
        imported(folder, tmp_path / "same", ImportSettings(same="yes"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plys", "run"]


def test_a_run_is_a_capture_with_made_cameras_and_finds_itself(folder: Path, tmp_path: Path) -> None:
    run, _ = imported(folder, tmp_path / "run", ImportSettings(frames_per_second=12.0))
    capture = open_capture(run.path)
    assert (capture.layout, capture.frame_count, capture.fps, capture.filmed) == ("imported", 3, 12.0, False)
    assert "Nobody filmed them" in capture.warnings[0]
    assert capture.image(0, 0).shape == (480, 640, 3)
    assert run.difference(capture) is None
    assert default_out(capture) == run.path
    assert find_runs(capture) == [run.path]
    made = run.read_cameras()
    for one, other in zip(capture.cameras, made, strict=True):
        np.testing.assert_allclose(one.world_to_camera, other.world_to_camera, atol=1e-9)
    rasterizer = choose_rasterizer("cpu")
    with pytest.raises(InputError, match="no photographs to reconstruct from"):
        list(reconstruct(capture, run, range(1), ReconstructSettings.for_device("cpu"), rasterizer))


@pytest.mark.parametrize("up", UPS)
def test_made_cameras_stand_upright_around_the_scene(up: str) -> None:
    made = replace(gaussians(0), means=gaussians(0).means + torch.tensor([5.0, -3.0, 2.0]))
    middle = made.means.median(dim=0).values.double().numpy()
    for camera in cameras_around(made, up=up):
        pixel, depth = camera.project(middle[None])
        assert depth[0] > 0
        np.testing.assert_allclose(pixel[0], (camera.cx, camera.cy), atol=60)
        assert -camera.rotation[1] @ np.array(UPS[up]) > 0.9  # the picture's up
        assert (camera.center - middle) @ np.array(UPS[up]) > 0  # it looks down


def test_a_zip_of_files_is_the_same_as_its_folder(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "clip.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"scene/{file.name}")
    run, events = imported(tmp_path / "clip.zip", tmp_path / "run")
    for frame in range(3):
        assert torch.equal(run.read_frame(frame).means, gaussians(frame).means)
    assert "taken as the same Gaussians" in said(events)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.zip", "plys", "run"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("../outside.ply",), "outside.ply"),
        (("a.txt", "b.txt"), r"clip.zip has 0 files of Gaussians"),
        (("zeros_1.ply",), "would unpack to"),
    ],
)
def test_a_zip_that_is_not_one_of_frames_is_one_sentence_and_leaves_nothing(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with zipfile.ZipFile(tmp_path / "clip.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, bytes(80 * 2**20 if name.startswith("zeros") else 10))
    with pytest.raises(InputError, match=words):
        imported(tmp_path / "clip.zip", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.zip"]


def test_a_4dgs_file_keeps_its_frames_and_its_rate(tmp_path: Path) -> None:
    pytest.importorskip("fourdgs")
    file = tmp_path / "clip.4dgs"
    exporter = EXPORTERS.load("4dgs")
    frames = [(frame, gaussians(frame)) for frame in range(3)]
    list(exporter.export(frames, file, About("clip", (), 12.0)))
    run, _ = imported(file, tmp_path / "run")
    assert open_capture(run.path).fps == pytest.approx(12.0)
    assert [run.lineage().origin(frame) for frame in range(3)] == [0, 0, 0]
    for frame in range(3):
        torch.testing.assert_close(run.read_frame(frame).means, gaussians(frame).means, rtol=0, atol=0.05)  # the format's steps
    moved = run.read_frame(2).means - run.read_frame(0).means
    torch.testing.assert_close(moved[:13].mean(dim=0), torch.full((3,), 0.1), rtol=0, atol=0.01)
    assert float(moved[13:].abs().max()) < 0.01
    data = file.read_bytes()
    for damaged in (b"", b"not 4dgs", data[: len(data) // 2], data[:40] + bytes(40) + data[80:]):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match=r"clip.4dgs"):
            imported(file, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_every_file_is_read_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: Path) -> GaussianFile:
        read.append(path.name)
        return read_gaussians(path)

    monkeypatch.setattr(import_sources, "read_gaussians", counted)
    imported(folder, tmp_path / "run")
    assert read == ["cloud_2.ply", "cloud_9.ply", "cloud_10.ply"]


def test_the_command_says_what_it_made_and_export_opens_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_splat(tmp_path / "one.splat", gaussians(0))
    for arguments in (
        ["import", tmp_path / "one.splat", "--out", tmp_path / "run", "--up", "z"],
        ["export", tmp_path / "run", "--out", tmp_path / "s.html", "--format", "html"],
        ["info", tmp_path / "run"],
        ["render", tmp_path / "run", "--move", "orbit", "--seconds", "0.1", "--size", "32x24", "--out", tmp_path / "orbit"],
        ["render", tmp_path / "run", "--cameras", "view3", "--out", tmp_path / "view"],
    ):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        assert end.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"{tmp_path / 'run'}: 1 frame, " in printed
    assert "layout imported" in printed
    assert cv2.imread(str(next((tmp_path / "orbit").iterdir()))).shape == (24, 32, 3)
    (view,) = (tmp_path / "view").iterdir()
    assert cv2.imread(str(view)).max() > 0  # a made camera sees the scene
    assert '"made_cameras": true' in (tmp_path / "s.html").read_text()


def test_folders_that_are_not_clear_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has 0 files of Gaussians"):
        find_files(tmp_path / "empty")
    (folder / "a_010.ply").touch()
    with pytest.raises(InputError, match=r"have the same number: every frame needs its own"):
        find_files(folder)
    (folder / "a_010.ply").rename(folder / "last.ply")
    with pytest.raises(InputError, match=r"last.ply has no number in its name"):
        find_files(folder)
    (folder / "last.ply").rename(folder / "cloud_2.spz")
    with pytest.raises(InputError, match=r"several formats \(\.ply, \.spz\)"):
        find_files(folder)


@pytest.mark.parametrize("wrong", [{"frames_per_second": 0.0}, {"frames_per_second": math.nan}, {"up": "w"}])
def test_settings_out_of_range_are_a_sentence(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"frames per second, not|--up is one of -y, y"):
        ImportSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rig: rig.pop("frames"), "does not say how many frames"),
        (lambda rig: rig.update(cameras=[]), "1 to 10000 cameras"),
        (lambda rig: rig["cameras"][0].update(dist=[0.1, 0, 0, 0]), "lens with distortion"),
        (lambda rig: rig["cameras"][0].update(name="../x"), "name"),
    ],
)
def test_a_damaged_rig_is_one_sentence(folder: Path, tmp_path: Path, change: object, words: str) -> None:
    run, _ = imported(folder, tmp_path / "run")
    rig = json.loads((run.path / "rig.json").read_text())
    change(rig)  # type: ignore[operator]
    (run.path / "rig.json").write_text(json.dumps(rig))
    with pytest.raises(InputError, match=words):
        open_capture(run.path)
