"""Images and masks of a capture on a device: each is copied there once and kept while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture, FrameSource, MaskSource

CAPACITY = 2 * 2**30  # bytes on a GPU per capture: five frames of twenty views of 1352x1014 are 0.4 GB


class DeviceImages:
    """The most recently used images on one device, at most ``capacity`` bytes of them. Thread-safe."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._images: OrderedDict[tuple[int, int], Tensor] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def __contains__(self, key: tuple[int, int]) -> bool:
        with self._lock:
            return key in self._images

    def get(self, key: tuple[int, int]) -> Tensor | None:
        with self._lock:
            if key in self._images:
                self._images.move_to_end(key)
            return self._images.get(key)

    def put(self, key: tuple[int, int], image: Tensor) -> None:
        if image.nbytes > self.capacity:
            return
        with self._lock:
            before = self._images.pop(key, None)
            self._images[key] = image
            self._size += image.nbytes - (0 if before is None else before.nbytes)
            while self._size > self.capacity:
                self._size -= self._images.popitem(last=False)[1].nbytes


# They go with the capture.
_known: WeakKeyDictionary[FrameSource | MaskSource, dict[torch.device, DeviceImages]] = WeakKeyDictionary()
_lock = threading.Lock()


def device_image(capture: Capture, camera: int, frame: int, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 RGB on the device; not to be changed, as others may get the same tensor. Raises as `Capture.image`."""
    if device.type != "cuda":
        return torch.from_numpy(np.array(capture.image(camera, frame))).to(device)
    images = _images(capture.source, device)
    found = images.get((camera, frame))
    if found is None:
        found = _copied(capture.image(camera, frame), device)
        images.put((camera, frame), found)
    return found


def device_mask(capture: Capture, camera: int, frame: int, device: torch.device) -> Tensor | None:
    """(H, W) bool on the device, not to be changed; None where there is none. Raises as `Capture.mask`."""
    if capture.masks is None or device.type != "cuda":
        mask = capture.mask(camera, frame)
        return None if mask is None else torch.from_numpy(mask.copy()).to(device)
    masks = _images(capture.masks, device)
    found = masks.get((camera, frame))
    if found is None and (mask := capture.mask(camera, frame)) is not None:
        found = _copied(mask, device)
        masks.put((camera, frame), found)
    return found


def _images(source: FrameSource | MaskSource, device: torch.device) -> DeviceImages:
    with _lock:
        return _known.setdefault(source, {}).setdefault(device, DeviceImages())


def _copied(pixels: np.ndarray, device: torch.device) -> Tensor:
    pinned = torch.from_numpy(pixels.copy()).pin_memory()
    return pinned.to(device, non_blocking=True)


def is_on_device(capture: Capture, camera: int, frame: int, device: torch.device) -> bool:
    """Whether `device_image` has it there already, so that it need not be decoded."""
    if device.type != "cuda":
        return False
    with _lock:
        images = _known.get(capture.source, {}).get(device)
    return images is not None and (camera, frame) in images
