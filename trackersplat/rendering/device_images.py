"""Images of a capture on a device: each is copied there once and kept while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture, FrameSource

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


_known: WeakKeyDictionary[FrameSource, dict[torch.device, DeviceImages]] = WeakKeyDictionary()  # they go with the capture
_lock = threading.Lock()


def device_image(capture: Capture, camera: int, frame: int, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 RGB on the device; not to be changed, as others may get the same tensor. Raises as `Capture.image`."""
    if device.type != "cuda":
        return torch.from_numpy(np.array(capture.image(camera, frame))).to(device)
    with _lock:
        images = _known.setdefault(capture.source, {}).setdefault(device, DeviceImages())
    found = images.get((camera, frame))
    if found is None:
        pinned = torch.empty(capture.cameras[camera].height, capture.cameras[camera].width, 3, dtype=torch.uint8, pin_memory=True)
        np.copyto(pinned.numpy(), capture.image(camera, frame))
        found = pinned.to(device, non_blocking=True)
        images.put((camera, frame), found)
    return found


def is_on_device(capture: Capture, camera: int, frame: int, device: torch.device) -> bool:
    """Whether `device_image` has it there already, so that it need not be decoded."""
    if device.type != "cuda":
        return False
    with _lock:
        images = _known.get(capture.source, {}).get(device)
    return images is not None and (camera, frame) in images
