"""How to unpack a download that is still an archive."""

from __future__ import annotations

import shlex
from pathlib import Path

PACKED = {".zip": "unzip", ".tar": "tar -xf", ".tgz": "tar -xf", ".gz": "tar -xf", ".7z": "7z x", ".rar": "unrar x"}


def unpacking_advice(path: Path) -> str | None:
    """One sentence on how to unpack an archive, or the first of the archives in a folder; None where there is none."""
    folder = path.parent if path.is_file() else path
    files = [path] if path.is_file() else sorted(entry for entry in folder.iterdir() if entry.is_file())
    first_part = next((file for file in files if file.suffix.lower() == ".z01"), None)
    if first_part is None and path.is_file() and path.with_suffix(".z01").is_file():
        first_part = path.with_suffix(".z01")
    where = shlex.quote(str(folder))
    if first_part is not None:
        last_part = first_part.with_suffix(".zip")
        if not last_part.is_file():
            return f"{folder} has parts of a split archive, but not the last one, {last_part.name}: download that too."
        joined = shlex.quote(f"{first_part.stem}_joined.zip")
        return (
            f"{folder} has the parts of a split archive, which must be joined and unpacked first: "
            f"cd {where} && zip -s- {shlex.quote(last_part.name)} -O {joined} && unzip {joined}"
        )
    archive = next((file for file in files if file.suffix.lower() in PACKED), None)
    if archive is None:
        return None
    command = PACKED[archive.suffix.lower()]
    return f"{archive} is an archive, which must be unpacked first: cd {where} && {command} {shlex.quote(archive.name)}"
