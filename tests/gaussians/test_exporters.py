"""Every exporter writes all frames or nothing, says so as it goes, and replaces nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.exporters.exporter import Exported, Exporter, FrameExported
from trackersplat.gaussians.exporters.registry import EXPORTERS, ExporterFacts
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.gaussians.sequence import GaussianSequence, write_sequence
from trackersplat.geometry.quaternions import quaternion_to_matrix

FRAMES = (0, 1, 11)
READ_MEANS = "import sys, gsply, numpy; numpy.save(sys.argv[3], getattr(gsply, sys.argv[1])(sys.argv[2]).means)"
# What a format may cost in positions of about 1, and in other numbers as they are stored (logits and logarithms too).
POSITIONS = {"compressed-ply": 4e-3, "spz": 1e-6, "sog": 1e-4, "splat": 0.0, "html": 1e-4, "4dgs": 0.06, "sequence": 5e-4}


@pytest.fixture(params=EXPORTERS.names())
def name(request: pytest.FixtureRequest) -> str:
    if (missing := EXPORTERS.why_unavailable(request.param)) is not None:
        pytest.skip(missing)
    return str(request.param)


def target(folder: Path, name: str) -> Path:
    return folder / f"export{EXPORTERS.facts(name).suffix}"


def read_back(name: str, path: Path, frame: int) -> Gaussians:
    exporter: Exporter = EXPORTERS.load(name)
    return exporter.read(path, frame, FRAMES.index(frame))


def scene(frame: int, count: int = 50) -> Gaussians:
    generator = torch.Generator().manual_seed(1)
    shapes = {"means": (count, 3), "quats": (count, 4), "log_scales": (count, 3), "opacity_logits": (count,), "sh": (count, 4, 3)}
    parts = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    parts["means"][:10] += 0.1 * frame
    return Gaussians(**parts)


def frames(numbers: tuple[int, ...] = FRAMES) -> Iterator[tuple[int, Gaussians]]:
    """Can be read once only."""
    return ((frame, scene(frame)) for frame in numbers)


def test_the_last_event_tells_what_was_written(tmp_path: Path, name: str) -> None:
    path = target(tmp_path / "new", name)
    *events, last = EXPORTERS.load(name).export(frames(), path)
    assert events == [FrameExported(frame, done) for done, frame in enumerate(FRAMES, start=1)]
    assert isinstance(last, Exported)
    assert last.path == str(path)
    assert last.frames == FRAMES
    files = [path] if path.is_file() else list(path.iterdir())
    assert list(last.files) == sorted(file.name for file in files)
    assert last.bytes == sum(file.stat().st_size for file in files)
    assert list(path.parent.iterdir()) == [path]  # nothing temporary is left


def test_what_is_read_back_is_what_was_exported_within_the_precision_of_the_format(tmp_path: Path, name: str) -> None:
    path = target(tmp_path, name)
    list(EXPORTERS.load(name).export(frames(), path))
    for frame in (0, 11):
        given, back = scene(frame), read_back(name, path, frame)
        if name in ("ply", "zip"):
            assert all(torch.equal(tensor, given.tensors()[field]) for field, tensor in back.tensors().items())
            continue
        assert len(back) == len(given)
        order = torch.cdist(given.means, back.means).argmin(dim=1)  # a format may sort them
        assert sorted(order.tolist()) == list(range(len(given)))
        back = back[order]
        torch.testing.assert_close(back.means, given.means, atol=POSITIONS[name], rtol=0)
        torch.testing.assert_close(back.log_scales, given.log_scales, atol=0.04, rtol=0)
        torch.testing.assert_close(back.opacities, given.opacities, atol=0.02, rtol=0)
        torch.testing.assert_close(rotations(back), rotations(given), atol=0.02, rtol=0)
        rgb = (0.5 + SH_C0 * given.sh[:, 0]).clamp(0, 1)
        torch.testing.assert_close((0.5 + SH_C0 * back.sh[:, 0]).clamp(0, 1), rgb, atol=0.015, rtol=0)
        if name not in ("splat", "html", "4dgs"):
            higher = given.sh[:, 1:].clamp(-1, 1 - 1 / 128) if name == "spz" else given.sh[:, 1:]
            torch.testing.assert_close(back.sh[:, 1:], higher, atol=0.07, rtol=0)


def rotations(gaussians: Gaussians) -> torch.Tensor:
    """(N, 3, 3), the same for a quaternion and its negative."""
    return quaternion_to_matrix(torch.nn.functional.normalize(gaussians.quats, dim=1))


@pytest.mark.parametrize(("name", "ending"), [("compressed-ply", "frame00001.compressed.ply"), ("spz", "frame00001.spz")])
def test_another_reader_finds_the_same_gaussians(tmp_path: Path, name: str, ending: str) -> None:
    pytest.importorskip("gsply")
    list(EXPORTERS.load(name).export(frames(), tmp_path / "export"))
    reader = "plyread" if name == "compressed-ply" else "read_spz"
    uncompiled = {**os.environ, "NUMBA_DISABLE_JIT": "1"}  # to compile these readers takes longer than to export a clip
    files = (str(tmp_path / "export" / ending), str(tmp_path / "means.npy"))
    subprocess.run([sys.executable, "-c", READ_MEANS, reader, *files], check=True, env=uncompiled)
    means = torch.from_numpy(np.load(tmp_path / "means.npy"))
    if name == "spz":
        means *= torch.tensor([1.0, -1.0, -1.0])  # that reader leaves the axes of the format as they are: right, up, back
    nearest = torch.cdist(scene(0).means, means)
    torch.testing.assert_close(nearest.amin(dim=1), torch.zeros(50), atol=4e-3, rtol=0)


def test_spz_keeps_its_precision_in_any_unit_of_length(tmp_path: Path) -> None:
    pytest.importorskip("gsply")
    for scale in (1e-3, 1.0, 1e4):
        path = tmp_path / f"{scale:g}"
        given = replace(scene(0), means=scale * scene(0).means)
        list(EXPORTERS.load("spz").export([(0, given)], path))
        back = read_gaussians(path / "frame00001.spz").gaussians
        assert float((back.means - given.means).abs().max()) < 1e-5 * max(scale, 0.1)


def test_the_archive_holds_the_numbered_plys(tmp_path: Path) -> None:
    list(EXPORTERS.load("zip").export(frames(), tmp_path / "export.zip"))
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        assert archive.namelist() == ["frame00001.ply", "frame00002.ply", "frame00012.ply"]
        assert archive.testzip() is None


def test_a_4dgs_file_passes_the_validation_of_its_package(tmp_path: Path) -> None:
    validate = pytest.importorskip("fourdgs.validate").validate
    list(EXPORTERS.load("4dgs").export(frames(), tmp_path / "export.4dgs"))
    report = validate((tmp_path / "export.4dgs").read_bytes())
    assert [finding for finding in report.findings if finding.severity == "error"] == []


def test_plys_are_numbered_from_1_and_hold_the_same_bits(tmp_path: Path) -> None:
    *_, last = EXPORTERS.load("ply").export(frames(), tmp_path / "export")
    assert last.files == ("frame00001.ply", "frame00002.ply", "frame00012.ply")
    for frame in FRAMES:
        back = read_gaussians(tmp_path / "export" / f"frame{frame + 1:05d}.ply").gaussians.tensors()
        assert all(torch.equal(back[name], tensor) for name, tensor in scene(frame).tensors().items())


def test_a_sequence_is_that_of_write_sequence_in_whatever_order_the_frames_come(tmp_path: Path) -> None:
    *_, last = EXPORTERS.load("sequence").export(frames((11, 0, 1)), tmp_path / "export")
    assert write_sequence(tmp_path / "written", FRAMES, scene) == last.bytes
    assert last.frames == GaussianSequence.open(tmp_path / "export").frames == FRAMES
    for file in last.files:
        assert (tmp_path / "export" / file).read_bytes() == (tmp_path / "written" / file).read_bytes()


def test_what_is_at_the_path_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    (tmp_path / "empty").mkdir()
    for occupied in (tmp_path / "mine", tmp_path / "mine" / "notes.txt"):
        with pytest.raises(InputError, match="There is something at"):
            list(EXPORTERS.load(name).export(frames(), occupied))
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    if not EXPORTERS.facts(name).suffix:
        assert isinstance(list(EXPORTERS.load(name).export(frames(), tmp_path / "empty"))[-1], Exported)


def test_a_cancelled_or_failed_export_leaves_nothing(tmp_path: Path, name: str) -> None:
    path = target(tmp_path, name)
    running = EXPORTERS.load(name).export(frames(), path)
    assert isinstance(next(running), FrameExported)
    running.close()
    with pytest.raises(InputError, match="Frame 2 is to be exported twice"):
        list(EXPORTERS.load(name).export(frames((0, 1, 1)), path))
    with pytest.raises(InputError, match="There is no frame to export"):
        list(EXPORTERS.load(name).export(iter(()), path))
    assert list(tmp_path.iterdir()) == []


def test_frames_of_different_gaussians_do_not_make_a_sequence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Frame 2 has 40 Gaussians"):
        list(EXPORTERS.load("sequence").export([(0, scene(0)), (1, scene(1, 40))], tmp_path / "export"))
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write to"):
        list(EXPORTERS.load(name).export(frames(), tmp_path / "file" / "export"))


def test_an_exporter_is_added_with_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "means_exporter.py").write_text(
        "import numpy as np\n"
        "import torch\n"
        "from trackersplat.gaussians.exporters.exporter import UNKNOWN, Exporter, check_target, exported\n"
        "def export_means(frames, path, about=UNKNOWN):\n"
        "    check_target(path)\n"
        "    path.mkdir()\n"
        "    written = []\n"
        "    for frame, gaussians in frames:\n"
        "        np.save(path / f'{frame}.npy', gaussians.means.numpy())\n"
        "        written.append(frame)\n"
        "    yield exported(path, written)\n"
        "def read_means(path, frame, place, about=UNKNOWN):\n"
        "    return torch.from_numpy(np.load(path / f'{frame}.npy'))\n"
        "MEANS = Exporter(export_means, read_means)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(EXPORTERS, "_entries", dict(EXPORTERS._entries))
    EXPORTERS.add(ExporterFacts(name="means", title="means alone", load="means_exporter:MEANS"))
    (done,) = EXPORTERS.load("means").export(frames(), tmp_path / "export")
    assert done.files == ("0.npy", "1.npy", "11.npy")
    assert torch.equal(EXPORTERS.load("means").read(tmp_path / "export", 11, 2), scene(11).means)
