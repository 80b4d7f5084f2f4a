"""JPEG files of pictures that move, on the GPU or on the processor."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

import viewer.moving_jpeg
from viewer.moving_jpeg import MovingJpeg, on_processor

CUDA = torch.device("cuda")
LARGE = np.zeros((500, 500, 3), np.uint8)


def ways(monkeypatch: pytest.MonkeyPatch, processor: float, gpu: float | None) -> tuple[MovingJpeg, list[str]]:
    """With two ways that take so many seconds, and a list of their calls; without a GPU's if that is None."""
    now, calls = [0.0], list[str]()

    def way(name: str, seconds: float) -> Callable[[np.ndarray], bytes]:
        def encode(image: np.ndarray) -> bytes:
            now[0] += seconds
            calls.append(name)
            return name.encode()

        return encode

    monkeypatch.setattr(viewer.moving_jpeg, "on_processor", way("processor", processor))
    monkeypatch.setattr(viewer.moving_jpeg, "gpu_encoder", lambda device: None if gpu is None else way("gpu", gpu))
    return MovingJpeg(lambda: now[0]), calls


@pytest.mark.parametrize(("processor", "gpu", "kept"), [(0.010, 0.002, b"gpu"), (0.002, 0.010, b"processor"), (0.01, None, b"processor")])
def test_the_faster_way_is_kept(monkeypatch: pytest.MonkeyPatch, processor: float, gpu: float | None, kept: bytes) -> None:
    jpeg, calls = ways(monkeypatch, processor, gpu)
    assert jpeg(LARGE, CUDA) == kept
    calls.clear()
    assert jpeg(LARGE, CUDA) == kept
    assert calls == [kept.decode()]


def test_the_gpu_is_not_tried_for_small_pictures_nor_for_what_another_device_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg, calls = ways(monkeypatch, 0.010, 0.002)
    jpeg(LARGE[:100], CUDA)
    jpeg(LARGE, torch.device("cpu"))
    jpeg(LARGE)
    assert calls == ["processor"] * 3


def test_without_nvjpeg_the_processor_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(image: np.ndarray) -> bytes:
        raise RuntimeError("encode_jpegs_cuda: torchvision not compiled with nvJPEG support")

    monkeypatch.setattr(viewer.moving_jpeg, "gpu_encoder", lambda device: fails)
    assert MovingJpeg()(LARGE, CUDA) == on_processor(LARGE)


def test_red_stays_red() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 200
    decoded = cv2.imdecode(np.frombuffer(on_processor(image), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - image).max() < 6


@pytest.mark.cuda
def test_the_gpu_encodes_the_same_picture() -> None:
    pytest.importorskip("torchvision")
    encode = viewer.moving_jpeg.gpu_encoder(CUDA)
    assert encode is not None
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None], (48, 1, 1)) * np.array([1, 0, 1], np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encode(ramp), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert decoded.shape == ramp.shape
    assert np.abs(decoded.astype(int) - ramp).mean() < 5
