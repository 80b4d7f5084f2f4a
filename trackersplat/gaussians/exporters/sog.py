"""SOG of PlayCanvas, version 2 (see `readers.sog`): the smallest files of single frames, for SuperSplat and the PlayCanvas engine."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from trackersplat.events import Event
from trackersplat.files import atomic_file
from trackersplat.gaussians.exporters.exporter import UNKNOWN, About, Exporter
from trackersplat.gaussians.exporters.numbered import export_numbered, read_numbered
from trackersplat.gaussians.exporters.palettes import code_book, palette
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.sog import CODES, LARGEST_PALETTE, LARGEST_TAG, OTHERS, PALETTE_WIDTH
from trackersplat.geometry.curve import order_along_curve

LOSSLESS = 101  # OpenCV's quality of a WebP image without loss


def export_sog(frames: Iterable[tuple[int, Gaussians]], path: Path, about: About = UNKNOWN) -> Iterator[Event]:
    """See `exporters.exporter.Export`.

    Neighbours in space become neighbours in the images, which makes them smaller. Frames of as many Gaussians as the first share its
    order: a Gaussian keeps its row.
    """
    order: list[np.ndarray] = []

    def write(file: Path, gaussians: Gaussians) -> None:
        if not order:
            order.append(_order(gaussians))
        same = len(order[0]) == len(gaussians)
        write_sog(file, gaussians, order[0] if same else _order(gaussians))

    return export_numbered(frames, path, ".sog", write)


def write_sog(path: Path, gaussians: Gaussians, order: np.ndarray) -> None:
    """One frame, its rows in this order."""
    parts = {name: tensor.detach().cpu().numpy()[order] for name, tensor in gaussians.tensors().items()}
    images, meta = _packed(parts)
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("meta.json"), json.dumps(meta))
        for name, pixels in images.items():
            archive.writestr(zipfile.ZipInfo(name), pixels)


def _order(gaussians: Gaussians) -> np.ndarray:
    return order_along_curve(gaussians.means.detach().cpu()).numpy()


def _packed(parts: dict[str, np.ndarray]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The images by name, and the meta data that says how to read them."""
    count = len(parts["means"])
    logs = np.sign(parts["means"]) * np.log1p(np.abs(parts["means"].astype(np.float64)))
    low, high = logs.min(axis=0), logs.max(axis=0)
    codes = np.rint(65535 * (logs - low) / np.maximum(high - low, 1e-12)).astype(np.uint16)
    scale_book, scale_codes = code_book(parts["log_scales"], CODES)
    colour_book, colour_codes = code_book(parts["sh"][:, 0], CODES)
    alpha = np.rint(255 / (1 + np.exp(-parts["opacity_logits"].astype(np.float64))))
    images = {
        "means_l.webp": _image(codes & 255),
        "means_u.webp": _image(codes >> 8),
        "scales.webp": _image(scale_codes),
        "quats.webp": _image(_rotations(parts["quats"])),
        # The encoder forgets the colour of what is fully transparent: the step above cannot be seen either.
        "sh0.webp": _image(np.concatenate((colour_codes, np.maximum(alpha, 1)[:, None]), axis=1)),
    }
    meta: dict[str, Any] = {
        "version": 2,
        "asset": {"generator": "trackersplat"},
        "count": count,
        "antialias": False,
        "means": {"mins": low.tolist(), "maxs": high.tolist(), "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": scale_book.tolist(), "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": colour_book.tolist(), "files": ["sh0.webp"]},
    }
    if parts["sh"].shape[1] > 1:
        more, meta["shN"] = _harmonics(parts["sh"][:, 1:])
        images |= more
    return images, meta


def _harmonics(higher: np.ndarray) -> tuple[dict[str, bytes], dict[str, Any]]:
    count, coefficients, _ = higher.shape
    rows, labels = higher.reshape(count, -1), np.arange(count)
    if count > LARGEST_PALETTE:  # below, a row for each Gaussian is both exact and smaller: its labels are nothing but numbers in turn
        rows, labels = palette(rows, LARGEST_PALETTE.bit_length() - 1)
    book, codes = code_book(rows, CODES)
    lines = -(-len(rows) // PALETTE_WIDTH)
    filled = np.zeros((lines * PALETTE_WIDTH, coefficients, 3), np.uint8)
    filled[: len(rows)] = codes.reshape(len(rows), coefficients, 3)
    images = {
        "shN_centroids.webp": _encoded(filled.reshape(lines, PALETTE_WIDTH * coefficients, 3)),
        "shN_labels.webp": _image(np.stack((labels & 255, labels >> 8, np.zeros_like(labels)), axis=1)),
    }
    bands = {3: 1, 8: 2, 15: 3}[coefficients]
    files = list(images)
    return images, {"count": len(rows), "bands": bands, "codebook": book.tolist(), "files": files}


def _rotations(quats: np.ndarray) -> np.ndarray:
    """(N, 4): the three smaller components in 8 bits, and which one is left out."""
    unit = torch.nn.functional.normalize(torch.from_numpy(quats).double(), dim=1).numpy()
    largest = np.abs(unit).argmax(axis=1)
    rows = np.arange(len(unit))
    unit = unit * np.where(unit[rows, largest] < 0, -1, 1)[:, None]
    small = unit[rows[:, None], OTHERS[largest]]
    return np.concatenate((np.rint(255 * (small * np.sqrt(2) * 0.5 + 0.5)).clip(0, 255), LARGEST_TAG + largest[:, None]), axis=1)


def _image(pixels: np.ndarray) -> bytes:
    """(N, 3 or 4) numbers below 256 as an image that is nearly square."""
    count, channels = pixels.shape
    width = 4 * int(np.ceil(np.sqrt(count) / 4))
    height = -(-count // width)
    filled = np.zeros((height * width, channels), np.uint8)
    filled[:, 3:] = 255  # the colour of what is fully transparent would be lost
    filled[:count] = pixels
    return _encoded(filled.reshape(height, width, channels))


def _encoded(image: np.ndarray) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS])
    if not done:
        raise RuntimeError("OpenCV could not write a WebP image")
    return data.tobytes()


SOG = Exporter(export_sog, read_numbered(".sog"))
