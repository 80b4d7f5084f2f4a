from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from counting_videos import number_image, read_number, write_counting_video
from tiny_capture import encode

from trackersplat.captures.media.decode import ImageFileSource, VideoSource, image_size, open_videos, read_image
from trackersplat.captures.media.video import VideoFile
from trackersplat.errors import InputError


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("source")
    return [write_counting_video(folder / f"cam{i:02d}.mp4", 24, "-g", "8") for i in range(3)]


def test_frames_stay_exact_when_threads_read_and_read_ahead_in_a_cache_that_is_too_small(videos: list[Path]):
    image_bytes = number_image(0).nbytes
    source = VideoSource(open_videos(videos), capacity=6 * image_bytes, workers=2)
    wrong: list[tuple[int, int]] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(40):
            camera, frame = int(rng.integers(3)), int(rng.integers(24))
            source.prefetch((camera, f) for f in range(frame, min(24, frame + 4)))
            if read_number(source.read(camera, frame)) != frame:
                wrong.append((camera, frame))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert source.cache.size <= 6 * image_bytes
    source.close()


def test_a_video_shorter_than_the_others_is_named_with_the_counts(videos: list[Path], tmp_path: Path):
    short = write_counting_video(tmp_path / "cam07.mp4", 20)
    with pytest.raises(InputError, match=r"cam07\.mp4 has 20 frames, but the longest video \(cam00\.mp4\) has 24"):
        VideoSource(open_videos([*videos, short]))


def test_image_files_are_read_as_rgb(tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    source = ImageFileSource([[tmp_path / "a.png"]], [(9, 7)])
    np.testing.assert_array_equal(source.read(0, 0), image)


def test_grey_images_become_rgb(tmp_path: Path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), grey[..., None].repeat(3, axis=2))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_transparent_images_are_laid_on_black_whatever_colour_hides_there(tmp_path: Path, kind: type[np.integer]):
    largest = np.iinfo(kind).max
    image = np.full((2, 3, 4), largest, kind)  # white
    image[..., 3] = [[0, largest, largest], [largest // 5, 0, largest]]
    cv2.imwrite(str(tmp_path / "alpha.png"), image)
    seen = read_image(tmp_path / "alpha.png")
    assert seen.dtype == np.uint8
    assert seen[..., 0].tolist() == [[0, 255, 255], [51, 0, 255]]
    np.testing.assert_array_equal(seen, seen[..., :1].repeat(3, axis=2))


def test_an_alpha_channel_is_said(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((7, 9, 4), np.uint8))
    source = ImageFileSource([[tmp_path / "a.png"]], [(9, 7)])
    assert source.remarks == (
        f"The images of 1 camera have an alpha channel, the first is {tmp_path / 'a.png'}: transparent pixels become black.",
    )


def test_an_image_of_another_size_than_its_camera_is_named_with_both_sizes(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"a\.png has 8x6 pixels, but its camera has 16x12"):
        ImageFileSource([[tmp_path / "a.png"]], [(16, 12)])
    cv2.imwrite(str(tmp_path / "first.png"), np.zeros((12, 16, 3), np.uint8))
    source = ImageFileSource([[tmp_path / "first.png", tmp_path / "a.png"]], [(16, 12)])
    with pytest.raises(InputError, match=r"a\.png has 8x6 pixels, but its camera has 16x12"):
        source.read(0, 1)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "b.png").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.png is not an image"):
        read_image(tmp_path / "b.png")


def test_a_missing_image_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"c\.png is missing"):
        read_image(tmp_path / "c.png")


def test_frames_can_be_any_frames_of_the_files(videos: list[Path]):
    source = VideoSource(open_videos(videos[:2]), [[3, 4, 9], [0, 0, 23]])
    assert source.frame_count == 3
    assert [[read_number(source.read(camera, frame)) for frame in (2, 0, 1)] for camera in (0, 1)] == [[9, 3, 4], [23, 0, 0]]
    source.close()


def test_frames_that_a_file_does_not_have_are_named(videos: list[Path]):
    with pytest.raises(InputError, match=r"cam01\.mp4 has 24 frames, but its timestamps name frame 25"):
        VideoSource(open_videos(videos[:2]), [[0, 1], [23, 24]])


def test_the_size_of_an_image_is_read_from_its_head(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((6, 8, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((6, 8, 3), np.uint8))
    assert image_size(tmp_path / "a.png") == image_size(tmp_path / "a.jpg") == (8, 6)
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match=r"b\.png is not an image"):
        image_size(tmp_path / "b.png")


def test_memory_stays_bounded_however_much_is_read(tmp_path: Path):
    width, height, count = 640, 480, 60
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, height, width, 3))
    path = encode(tmp_path / "cam00.mp4", images, "-g", "30")
    image_bytes = width * height * 3
    source = VideoSource(open_videos([path]), capacity=6 * image_bytes, workers=1)
    tracemalloc.start()
    for order in (range(count), range(count - 1, -1, -1), (7, 50, 20, 3)):
        for frame in order:
            source.prefetch((0, ahead) for ahead in range(frame, min(count, frame + 20)))
            source.read(0, frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The cache, and for the reader and the worker an image under way and the buffer it is decoded into.
    assert 5 * image_bytes < peak < (6 + 2 * 2 + 1) * image_bytes
    source.close()


def test_a_video_played_backwards_is_decoded_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_counting_video(tmp_path / "cam00.mp4", 200, "-g", "50", "-bf", "3", "-sc_threshold", "0")
    grabs, seeks = [], []
    grab, seek = VideoFile._grab, VideoFile._seek
    monkeypatch.setattr(VideoFile, "_grab", lambda video: grabs.append(video._next) or grab(video))
    monkeypatch.setattr(VideoFile, "_seek", lambda video, frame, times: seeks.append(frame) or seek(video, frame, times))
    source = VideoSource(open_videos([path]))
    for frame in range(199, -1, -1):
        assert read_number(source.read(0, frame)) == frame
    assert len(seeks) <= 2 + 200 / 32 + 1
    assert len(grabs) <= 2 * 200
    source.close()


def test_image_files_that_are_cut_off_are_told_from_whole_ones(tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    for suffix in (".png", ".jpg"):
        whole = cv2.imencode(suffix, image)[1].tobytes()
        (tmp_path / f"a{suffix}").write_bytes(whole + b"\0\0")  # some cameras pad
        assert read_image(tmp_path / f"a{suffix}").shape == image.shape
        (tmp_path / f"a{suffix}").write_bytes(whole[:-20])
        with pytest.raises(InputError, match="is not an image that can be decoded"):
            read_image(tmp_path / f"a{suffix}")


def test_a_thumbnail_inside_a_jpeg_does_not_pass_for_its_end(tmp_path: Path):
    thumbnail, whole = (cv2.imencode(".jpg", np.full((size, size, 3), 90, np.uint8))[1].tobytes() for size in (8, 64))
    comment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    (tmp_path / "a.jpg").write_bytes(whole[:2] + comment + whole[2:])
    assert read_image(tmp_path / "a.jpg").shape == (64, 64, 3)
    (tmp_path / "a.jpg").write_bytes(whole[:2] + comment + whole[2:-2])
    with pytest.raises(InputError, match="is not an image that can be decoded"):
        read_image(tmp_path / "a.jpg")
