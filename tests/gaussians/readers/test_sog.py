"""SOG files of others: damaged and hostile ones are one sentence."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.exporters import sog
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.reader import read_gaussians


def made(count: int = 30) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    return Gaussians(*(torch.randn(shape, generator=generator) for shape in [(count, 3), (count, 4), (count, 3), (count,), (count, 9, 3)]))


def written(path: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """A file of ours with other meta data or images."""
    sog.write_sog(path, made(), np.arange(30))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    meta = json.loads(parts.pop("meta.json"))
    change(meta, parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {"meta.json": json.dumps(meta).encode(), **parts}.items():
            archive.writestr(name, data)
    return path


def image(width: int, height: int) -> bytes:
    return cv2.imencode(".webp", np.zeros((height, width, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()


def test_rows_come_in_the_order_asked_for_and_harmonics_are_shared_where_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sog, "LARGEST_PALETTE", 8)
    given, order = made(32), torch.arange(31, -1, -1)
    given = Gaussians(**{**given.tensors(), "sh": torch.cat((given.sh[:, :1], given.sh[:8, 1:].repeat(4, 1, 1)), dim=1)})
    sog.write_sog(tmp_path / "a.sog", given, order.numpy())
    back = read_gaussians(tmp_path / "a.sog").gaussians
    torch.testing.assert_close(back.means, given.means[order], atol=2e-4, rtol=0)
    torch.testing.assert_close(back.sh[:, 1:], given.sh[order, 1:], atol=0.03, rtol=0)


def test_the_same_gaussians_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.sog", "b.sog"):
        sog.write_sog(tmp_path / name, made(), np.arange(30))
    assert (tmp_path / "a.sog").read_bytes() == (tmp_path / "b.sog").read_bytes()


CHANGES: dict[str, Callable[[dict[str, Any], dict[str, bytes]], None]] = {
    "not of version 2": lambda meta, parts: meta.update(version=1),
    "claims 10000000": lambda meta, parts: meta.update(count=10_000_000),
    "claims '30'": lambda meta, parts: meta.update(count="30"),
    "claims -1": lambda meta, parts: meta.update(count=-1),
    "fewer pixels": lambda meta, parts: meta.update(count=900),
    "more than its Gaussians need": lambda meta, parts: parts.update({"quats.webp": image(2000, 2000)}),
    "no lossless WebP": lambda meta, parts: parts.update({"quats.webp": b"RIFF1234WEBPVP8 junk"}),
    "cannot be decoded": lambda meta, parts: parts.update({"quats.webp": parts["quats.webp"][:30]}),
    "256 numbers": lambda meta, parts: meta["scales"].update(codebook=[1.0] * 255),
    "could not convert": lambda meta, parts: meta["scales"].update(codebook=["x"] * 256),
    "without its 2 files": lambda meta, parts: meta["means"].update(files=["means_l.webp"]),
    "no item named": lambda meta, parts: meta["means"].update(files=["../../etc/passwd", "means_u.webp"]),
    "a palette of another size": lambda meta, parts: meta["shN"].update(count=65),
    "a palette of 70000 rows": lambda meta, parts: meta["shN"].update(count=70000),
    "outside the palette": lambda meta, parts: meta["shN"].update(count=3),
    "sog": lambda meta, parts: meta["shN"].update(bands=[]),
    "without its largest component": lambda meta, parts: parts.update({"quats.webp": parts["sh0.webp"]}),
}


@pytest.mark.parametrize("words", CHANGES)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, words: str) -> None:
    path = written(tmp_path / "a.sog", CHANGES[words])
    with pytest.raises(InputError) as caught:
        read_gaussians(path)
    assert words in str(caught.value)
    assert "damaged SOG file" in str(caught.value)
    assert "\n" not in str(caught.value)
