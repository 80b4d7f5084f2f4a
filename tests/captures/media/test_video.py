from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from counting_videos import read_number, write_counting_video

from trackersplat.captures.media.decode import VideoSource
from trackersplat.captures.media.video import VideoFile
from trackersplat.errors import InputError

COUNT = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def long_groups(folder: Path) -> Path:
    """B-frames and a key frame every 40."""
    return write_counting_video(folder / "long.mp4", COUNT, "-g", "40", "-bf", "3", "-sc_threshold", "0")


def copied(source: Path, name: str, *options: str, before: tuple[str, ...] = ()) -> Path:
    target = source.with_name(name)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *before, "-i", str(source), "-c", "copy", *options, str(target)]
    subprocess.run(command, check=True)
    return target


def ffmpeg_frames(path: Path) -> np.ndarray:
    """(T, H, W, 3) as the bundled ffmpeg decodes the file from start to end."""
    reader = imageio_ffmpeg.read_frames(str(path), pix_fmt="rgb24", output_params=["-fps_mode", "passthrough"])
    width, height = next(reader)["size"]
    return np.stack([np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader])


def assert_every_frame_is_right(path: Path, count: int, first: int = 0, threads: int = 1) -> VideoFile:
    """In order, in random order and backwards."""
    video = VideoFile(path, threads)
    assert video.info.frame_count == count
    orders = (range(count), np.random.default_rng(5).integers(0, count, 40), range(count - 1, -1, -7), (0, count - 1, 0, 1))
    for order in orders:
        for frame in order:
            assert read_number(video.read(int(frame))) == first + frame
    return video


OPEN_GROUPS = ("-x264-params", "open-gop=1:keyint=24:min-keyint=24:bframes=3:b-adapt=0")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("options", [("-g", "12", "-bf", "3"), ("-g", "1"), ("-g", "500", "-bf", "2"), ("-bf", "0"), OPEN_GROUPS])
def test_every_frame_has_its_exact_number_in_any_order(folder: Path, options: tuple[str, ...], threads: int):
    path = write_counting_video(folder / "any.mp4", COUNT, "-sc_threshold", "0", *options)
    video = assert_every_frame_is_right(path, COUNT, threads=threads)
    assert len(video._packets.times) == COUNT, "jumps should seek, not decode from the start"


def test_reading_on_does_not_seek(long_groups: Path, monkeypatch: pytest.MonkeyPatch):
    video = VideoFile(long_groups)
    monkeypatch.setattr(video, "_go_to", lambda frame: pytest.fail(f"moved to {frame}"))
    for frame in range(COUNT):
        video.read(frame)


def test_a_jump_does_not_decode_from_the_start(long_groups: Path, monkeypatch: pytest.MonkeyPatch):
    video = VideoFile(long_groups)
    video.read(95)
    monkeypatch.setattr(video, "_restart", lambda: pytest.fail("started over"))
    for frame in (60, 90, 45):
        assert read_number(video.read(frame)) == frame


def test_a_jump_ahead_that_no_key_frame_shortens_decodes_on(long_groups: Path, monkeypatch: pytest.MonkeyPatch):
    video = VideoFile(long_groups)
    video.read(41)
    monkeypatch.setattr(video, "_seek", lambda frame, times: pytest.fail(f"sought {frame}"))
    assert read_number(video.read(75)) == 75
    monkeypatch.undo()
    sought = []
    monkeypatch.setattr(video, "_seek", lambda frame, times, seek=video._seek: sought.append(frame) or seek(frame, times))
    video.read(1)
    assert read_number(video.read(99)) == 99
    assert sought == [1, 99], "back, and ahead past a key frame"


def test_a_smaller_image_is_the_average_of_the_large_one(long_groups: Path):
    video = VideoFile(long_groups)
    large = video.read(37)
    small = video.read(37, (large.shape[1] // 2, large.shape[0] // 2))
    average = large.reshape(small.shape[0], 2, small.shape[1], 2, 3).mean(axis=(1, 3))
    assert np.abs(small - average).max() <= 0.5
    np.testing.assert_array_equal(video.read(38, (large.shape[1], large.shape[0])), VideoFile(long_groups).read(38))


def test_an_image_is_not_written_over_by_the_next(long_groups: Path):
    video = VideoFile(long_groups)
    first = video.read(3, (36, 16))
    kept = first.copy()
    video.read(4, (36, 16))
    np.testing.assert_array_equal(first, kept)


def test_a_cut_without_encoding_has_the_frames_that_players_show(long_groups: Path):
    # The cut starts between key frames: the file holds 20 hidden frames, and its index counts them.
    path = copied(long_groups, "cut.mp4", before=("-ss", "2.0"))
    shown = len(ffmpeg_frames(path))
    assert shown == COUNT - 60
    assert_every_frame_is_right(path, shown, first=60)


def test_a_fragmented_video_is_counted_by_its_frames(long_groups: Path):
    assert_every_frame_is_right(copied(long_groups, "fragments.mp4", "-movflags", "frag_keyframe+empty_moov"), COUNT)


def test_frames_at_irregular_times_keep_their_numbers(folder: Path):
    # Every third frame is dropped and the times of the others stay.
    path = write_counting_video(folder / "vfr.mp4", 60, "-bf", "2", "-g", "10", "-fps_mode", "vfr")
    images = ffmpeg_frames(path)
    thinned = folder / "thinned.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-i", str(path), "-vf", "select='mod(n,3)'", "-fps_mode", "vfr"]
    subprocess.run([*command, "-c:v", "libx264", "-crf", "8", "-g", "10", "-bf", "2", "-pix_fmt", "yuv444p", str(thinned)], check=True)
    kept = [number for number in range(len(images)) if number % 3]
    video = VideoFile(thinned)
    assert video.info.frame_count == len(kept)
    for frame in [*range(len(kept)), *np.random.default_rng(2).integers(0, len(kept), 30)]:
        assert read_number(video.read(int(frame))) == kept[frame]


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("pixels", ["yuv444p", "yuv420p"])
def test_colours_agree_with_ffmpeg_for_every_tagged_matrix(folder: Path, matrix: str, pixels: str):
    rng = np.random.default_rng(1)
    blocks = rng.integers(0, 256, (4, 6, 8, 3)).repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
    path = folder / f"{matrix}-{pixels}.mp4"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-y",
        "-loglevel",
        "error",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        "64x48",
        "-r",
        "30",
    ]
    command += ["-i", "-", "-vf", f"scale=out_color_matrix={matrix}:out_range=tv", "-pix_fmt", pixels, "-color_range", "tv"]
    command += ["-colorspace", {"bt601": "smpte170m", "bt709": "bt709"}[matrix], "-c:v", "libx264", "-crf", "1", str(path)]
    subprocess.run(command, input=blocks.tobytes(), check=True)
    video = VideoFile(path)
    images = np.stack([video.read(frame) for frame in range(4)])
    assert np.abs(images.astype(int) - ffmpeg_frames(path)).max() <= 2
    inside = (slice(None), slice(4, None, 8), slice(4, None, 8))
    assert np.abs(images[inside].astype(int) - blocks[inside]).max() <= 12, "the colours are those that were encoded, channel by channel"


def test_a_video_that_is_no_video_is_named(tmp_path: Path):
    path = tmp_path / "cam03.mp4"
    path.write_bytes(b"this is not a video " * 100)
    with pytest.raises(InputError, match=r"cam03\.mp4 is not a video in the MP4 format"):
        VideoFile(path)


def test_an_mp4_without_a_video_track_is_named(tmp_path: Path):
    path = tmp_path / "sound.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-f", "lavfi", "-i", "sine=duration=0.2", str(path)]
    subprocess.run(command, check=True)
    with pytest.raises(InputError, match=r"sound\.mp4 holds no video"):
        VideoFile(path)


def test_a_damaged_frame_is_reported_with_its_number_and_file(long_groups: Path, tmp_path: Path):
    data = bytearray(long_groups.read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (data.index(b"moov") - start) // 2
    data[middle : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - middle)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    video = VideoFile(path)
    with pytest.raises(InputError, match=rf"Frame {COUNT} of .*damaged\.mp4 cannot be decoded"):
        video.read(COUNT - 1)
    assert read_number(video.read(0)) == 0, "the intact start can still be read"


@pytest.mark.parametrize("degrees", [90, 180])
def test_a_picture_that_the_header_turns_is_read_as_ffmpeg_shows_it_and_that_is_said(folder: Path, long_groups: Path, degrees: int):
    turned = copied(long_groups, f"turned{degrees}.mp4", before=("-display_rotation", str(degrees)))
    video, plain = VideoFile(turned), VideoFile(long_groups)
    np.testing.assert_allclose(video.read(3).astype(int), ffmpeg_frames(turned)[3], atol=3)
    assert plain.info.turned == 0
    assert video.info.turned in (degrees, 360 - degrees)
    if degrees == 180:
        source = VideoSource([video, plain, VideoFile(turned)])
        (remark,) = source.remarks
        assert remark.startswith("The videos of 2 cameras are turned (turned180 by 180 degrees), as their headers ask and as ffmpeg does")
        assert VideoSource([plain, plain]).remarks == ()
