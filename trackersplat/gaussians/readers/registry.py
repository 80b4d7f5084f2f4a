"""The formats of files with Gaussians that are read, by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from trackersplat.registry import Facts, Registry

_MODULES = "trackersplat.gaussians.readers"


@dataclass(frozen=True, kw_only=True)
class FormatFacts(Facts):
    """What is known about a format. ``load`` names a function of the path and the largest size in bytes; see `readers.reader.Reader`."""

    starts: tuple[bytes, ...] = ()  # a file of this format begins with one of them
    suffix: str  # of its files; decides where ``starts`` is empty


# A file is read by the first that fits.
READERS: Registry[FormatFacts] = Registry(
    "format of Gaussians",
    (
        FormatFacts(
            name="ply",
            title="PLY of 3D Gaussian splatting, or compressed as SuperSplat and splat-transform do",
            starts=(b"ply",),
            suffix=".ply",
            load=f"{_MODULES}.ply:read_ply",
        ),
        FormatFacts(name="spz", title="SPZ of Niantic", starts=(b"\x1f\x8b", b"NGSP"), suffix=".spz", load=f"{_MODULES}.spz:read_spz"),
        FormatFacts(name="sog", title="SOG of PlayCanvas, version 2", suffix=".sog", load=f"{_MODULES}.sog:read_sog"),
        FormatFacts(name="splat", title=".splat of antimatter15", suffix=".splat", load=f"{_MODULES}.splat:read_splat"),
    ),
)

# Formats that are known and not read: suffix -> what it is.
OTHERS = {
    ".ksplat": "a .ksplat file of GaussianSplats3D",
    ".lcc": "an LCC scene of XGRIDS",
    ".glb": "a glTF scene",
    ".gltf": "a glTF scene",
    ".usdz": "a USD scene",
}


def is_gaussian_file(path: Path) -> bool:
    """Whether a path names a file of a format that is read or known. False if the file cannot be examined."""
    suffix = path.suffix.lower()
    return os.path.isfile(path) and (suffix in OTHERS or any(suffix == facts.suffix for facts in READERS))
