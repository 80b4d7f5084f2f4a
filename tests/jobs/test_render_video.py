"""Videos of runs: what their pictures show, and that half of one never stays."""

from __future__ import annotations

import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_runs import STEP, tiny_gaussians, write_tiny_run

from trackersplat.camera_paths.path import Key, even_path
from trackersplat.captures.capture import Capture
from trackersplat.captures.units import NEAR, rig_size
from trackersplat.document.document import Document
from trackersplat.document.kinds.delete import Delete
from trackersplat.document.scene_edit import Target
from trackersplat.document.selection import Selection
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.gaussians.ply import write_ply
from trackersplat.jobs.clip import Clip
from trackersplat.jobs.render_video import VideoSettings, in_size, picture, render_video, shots_of_camera, shots_of_path
from trackersplat.jobs.video_events import EVENTS, PictureDone, VideoDone, VideoStarted
from trackersplat.jobs.video_files import open_video
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.run import Run

SIZE = VideoSettings(64, 48)


@pytest.fixture(scope="module")
def run(small_capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_tiny_run(tmp_path_factory.mktemp("runs") / "run", small_capture, (0, 1, 2), replaced_at=2)


@pytest.fixture(scope="module")
def rasterizer() -> Rasterizer:
    return choose_rasterizer("cpu")


def video(pictures: int = 3, height: int = 48, width: int = 64) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (pictures, height, width, 3), dtype=np.uint8)


def _write(out: Path, images: np.ndarray, then: BaseException | None = None) -> None:
    with open_video(out, images.shape[2], images.shape[1], 30, 16) as add:
        for number, image in enumerate(images, 1):
            add(image, number)
        if then is not None:
            raise then


def frames_of(file: Path) -> np.ndarray:
    found, capture = [], cv2.VideoCapture(str(file))
    while (read := capture.read())[0]:
        found.append(read[1][:, :, ::-1])
    return np.stack(found)


def test_a_cameras_video_is_what_the_rasteriser_shows_through_that_camera(run: Run, rasterizer: Rasterizer, tmp_path: Path) -> None:
    clip = Clip([run])
    camera = clip.cameras[1]
    events = list(render_video(clip, shots_of_camera(camera, clip.played, clip, SIZE), SIZE, tmp_path / "images", rasterizer))
    assert events[1:4] == [PictureDone(1, 3), PictureDone(2, 3), PictureDone(3, 3)]
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["frame00001.png", "frame00002.png", "frame00003.png"]
    for frame in range(3):
        shown = cv2.imread(str(tmp_path / "images" / f"frame{frame + 1:05d}.png"))[:, :, ::-1]
        with torch.no_grad():
            colour = rasterizer.render(run.read_frame(frame), [camera]).color[0].clamp(0, 1)
        assert shown.max() > 100
        np.testing.assert_array_equal(shown, (colour * 255 + 0.5).to(torch.uint8).numpy())


def test_all_kinds_of_files_hold_the_same_pictures_and_an_mp4_their_colours(run: Run, rasterizer: Rasterizer, tmp_path: Path) -> None:
    clip = Clip([run])
    path = even_path([Key.of(clip.cameras[0]), Key.of(clip.cameras[2])], 0.1)
    shots = shots_of_path(path, clip, clip.played, SIZE)
    assert [shot.time for shot in shots] == [0, 1, 2]
    for name in ("folder", "a.zip", "a.mp4"):
        *_, done = render_video(clip, shots, replace(SIZE, crf=1), tmp_path / name, rasterizer)
        assert isinstance(done, VideoDone)
        assert done.bytes > 0
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["frame00001.png", "frame00002.png", "frame00003.png"]
        packed = {name: archive.read(name) for name in archive.namelist()}
    film = frames_of(tmp_path / "a.mp4")
    assert film.shape == (3, 48, 64, 3)
    for index, (name, data) in enumerate(packed.items()):
        assert (tmp_path / "folder" / name).read_bytes() == data
        exact = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        assert np.abs(film[index].astype(int) - exact).mean() < 6  # 4:2:0
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "a.zip", "a.mp4"}


def test_samples_of_a_pixel_are_averaged_before_rounding(run: Run, rasterizer: Rasterizer) -> None:
    clip = Clip([run])
    camera = in_size(clip.cameras[0], 64, 48)
    fine = picture(rasterizer, clip.gaussians(0), camera.resized(192, 144), replace(SIZE, width=192, height=144)).astype(float)
    averaged = picture(rasterizer, clip.gaussians(0), camera, replace(SIZE, supersample=3)).astype(float)
    assert np.abs(averaged - fine.reshape(48, 3, 64, 3, 3).mean(axis=(1, 3))).max() <= 1.0


def test_the_background_is_where_nothing_is(run: Run, rasterizer: Rasterizer) -> None:
    clip = Clip([run])
    settings = replace(SIZE, background=(1.0, 0.5, 0.0))
    shown = picture(rasterizer, clip.gaussians(0), clip.cameras[0], settings)
    np.testing.assert_array_equal(shown[0, 0], (255, 128, 0))


def test_another_size_keeps_the_height_of_the_view_and_its_middle(run: Run) -> None:
    camera = run.read_cameras()[1]
    camera = replace(camera, K=np.add(camera.K, [[0, 0, 3.0], [0, 0, -2.0], [0, 0, 0]]))
    larger = in_size(camera, 160, 96)
    point = np.array([[0.2, -0.1, 0.5]])
    before, after = camera.project(point)[0][0], larger.project(point)[0][0]
    np.testing.assert_allclose(after, (80 + 2 * (before[0] - 32), 2 * before[1]), atol=1e-9)


def test_between_two_frames_the_same_gaussians_are_on_their_way_and_others_change_at_half(run: Run) -> None:
    clip = Clip([run])
    half = clip.between(0.25)
    np.testing.assert_allclose(half.means[:, 0].sort()[0], (tiny_gaussians(0).means[:, 0] + 0.25 * STEP).sort()[0], atol=1e-6)
    # The third Gaussian of frame 3 is another one: it is not on its way, but appears.
    for time, frame in ((1.4, 1), (1.6, 2)):
        found = clip.between(time)
        assert len(found) == 3
        np.testing.assert_allclose(found.means[2], run.read_frame(frame).means[2], atol=1e-6)
        np.testing.assert_allclose(found.means[:2, 0], tiny_gaussians(0).means[:2, 0] + time * STEP, atol=1e-5)
    assert clip.between(1.0) is clip.gaussians(1)


def test_quaternions_of_opposite_signs_are_the_same_rotation_on_the_way(small_capture: Capture, tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path / "run", small_capture, (0, 1))
    (cloud,) = (path for path in run.path.rglob("point_cloud.ply") if "frame2" in path.parts)
    write_ply(cloud, replace(tiny_gaussians(1), quats=-tiny_gaussians(1).quats))
    half = Clip([Run.open(run.path)]).between(0.5)
    np.testing.assert_allclose(half.quats.abs(), tiny_gaussians(0).quats, atol=1e-6)


def test_what_is_wrong_with_the_edits_of_a_run_is_said(small_capture: Capture, tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path / "run", small_capture, (0, 1))
    document = Document.open(run)
    document.do(Delete(Target.of(Selection(document.ids(0)[:1]))))
    with (run.path / "document" / "history.jsonl").open("a") as log:
        log.write('{"half a line')
    assert ["The last line of" in remark for remark in Clip([run]).remarks()] == [True]
    assert Clip([run], edits=False).remarks() == ()


def test_pictures_of_a_camera_have_the_numbers_of_the_frames_unless_these_come_in_another_order(run: Run) -> None:
    clip = Clip([run])
    for frames, numbers in (((1, 2), [2, 3]), ((2, 0, 1), [1, 2, 3]), ((1, 1), [1, 2])):
        shots = shots_of_camera(clip.cameras[0], frames, clip, SIZE)
        assert [shot.number for shot in shots] == numbers
        assert [shot.time for shot in shots] == list(frames)
        assert {shot.camera.near for shot in shots} == {NEAR * rig_size(clip.cameras)}
    path = even_path([Key.of(clip.cameras[0]), Key.of(clip.cameras[2])], 0.1)
    assert {shot.camera.near for shot in shots_of_path(path, clip, (0, 1), SIZE)} == {NEAR * rig_size(clip.cameras)}


def test_runs_that_follow_each_other_become_one_clip(run: Run, small_capture: Capture, tmp_path: Path) -> None:
    later = write_tiny_run(tmp_path / "later", small_capture, (2, 3, 4))
    clip = Clip([run, later])
    assert clip.played == (0, 1, 2, 3, 4)
    assert clip.twice == 1
    torch.testing.assert_close(clip.gaussians(2).means, run.read_frame(2).means)  # of the run named first
    torch.testing.assert_close(clip.gaussians(4).means, later.read_frame(4).means)
    assert clip.nearest(3.5) == 4
    moved = replace(small_capture, cameras=tuple(replace(c, K=c.K * [[1.2], [1.2], [1]]) for c in small_capture.cameras))
    with pytest.raises(InputError, match="have different cameras: give runs of one capture"):
        Clip([run, write_tiny_run(tmp_path / "other", moved, (5,))])


@pytest.mark.parametrize("name", ["clip.mp4", "clip.zip", "clip"])
def test_a_video_that_is_left_early_leaves_nothing(run: Run, rasterizer: Rasterizer, tmp_path: Path, name: str) -> None:
    clip = Clip([run])
    work = render_video(clip, shots_of_camera(clip.cameras[0], clip.played, clip, SIZE), SIZE, tmp_path / name, rasterizer)
    events: list[Event] = [next(work), next(work)]
    assert events == [VideoStarted(3, 64, 48, rasterizer.describe()), PictureDone(1, 3)]
    work.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("cat > /dev/null; echo 'av_write: No space left on device' >&2; exit 1", r"the disk is full\): make room"),
        ("echo 'Unknown encoder' >&2; exit 1", r"ffmpeg: Unknown encoder\)"),
    ],
)
def test_an_encoder_that_fails_is_a_sentence_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, words: str
) -> None:
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text(f"#!/bin/sh\n{script}\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(stand_in))
    out = tmp_path / "out" / "clip.mp4"
    with pytest.raises(InputError, match=words):
        _write(out, video(40, 480, 640))
    assert list(out.parent.iterdir()) == []


def test_the_encoder_of_a_video_left_early_is_gone(tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            started.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Watched)
        with pytest.raises(KeyboardInterrupt):
            _write(tmp_path / "clip.mp4", video(1), then=KeyboardInterrupt())
    assert [process.poll() is not None for process in started] == [True]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"width": 8}, "from 16 to 16384 pixels, not 8x48"),
        ({"supersample": 5}, "1 to 4 samples"),
        ({"width": 16384, "height": 16384}, "needs too much memory"),
        ({"fps": 0.0}, "1 to 240 pictures per second"),
    ],
)
def test_numbers_out_of_range_are_a_sentence(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(SIZE, **wrong)  # type: ignore[arg-type]


def test_events_survive_json() -> None:
    for event in (VideoStarted(3, 64, 48, "CPU"), PictureDone(1, 3), VideoDone("a.mp4", 3, 100)):
        assert EVENTS.from_json(EVENTS.to_json(event)) == event
    for nonsense in ({}, {"event": "PictureDone"}, {"event": "PictureDone", "done": None, "pictures": 1}, {"event": "Note"}):
        with pytest.raises(ValueError, match="not an event"):
            EVENTS.from_json(nonsense)
