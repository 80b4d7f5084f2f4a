"""The optional ``capture.json``, and strict checks of values from the JSON files of a capture."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from trackersplat.errors import InputError
from trackersplat.files import has_file, read_json

MAX_NAME = 200  # characters of a capture's name
MAX_PART = 255  # characters of a camera's or a file's
MAX_FPS = 10_000.0


@dataclass(frozen=True)
class CaptureSettings:
    """What ``capture.json`` in a capture's folder says; None where it says nothing."""

    name: str | None = None
    fps: float | None = None
    held_out: tuple[str, ...] | None = None
    scale: float | None = None  # of the images, at most 1
    exclude: tuple[str, ...] = ()  # cameras that are left out

    def keeps(self, names: Sequence[str]) -> list[bool]:
        """Of each camera of ``names``, whether it is not left out: only these decide which frames there are."""
        return [name not in self.exclude for name in names]


def read_settings(folder: Path) -> CaptureSettings:
    """``folder/capture.json`` if there is one. Keys: name, fps, held_out and exclude (camera names), scale, description, licence.

    Raises InputError if the file is not JSON, or a key is unknown or of the wrong type.
    """
    path = folder / "capture.json"
    if not has_file(path):
        return CaptureSettings()
    data = read_json(path)
    known = ("name", "fps", "held_out", "exclude", "scale", "description", "licence")
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise InputError(f"{path} has the unknown key {unknown[0][:40]!r}, expected only {', '.join(known)}: correct or remove it.")
    for key in ("name", "description", "licence"):
        if not isinstance(data.get(key, ""), str):
            raise InputError(f"{path}: {key!r} must be a text.")
    if len(data.get("name", "-")) not in range(1, MAX_NAME + 1):
        raise InputError(f"{path}: 'name' must have 1 to {MAX_NAME} characters.")
    return CaptureSettings(
        name=data.get("name"),
        fps=positive_number(data["fps"], MAX_FPS, f"{path}: 'fps'") if "fps" in data else None,
        held_out=camera_names(data["held_out"], f"{path}: 'held_out'") if "held_out" in data else None,
        scale=positive_number(data["scale"], 1.0, f"{path}: 'scale'") if "scale" in data else None,
        exclude=camera_names(data["exclude"], f"{path}: 'exclude'") if "exclude" in data else (),
    )


NONE_HELD_OUT = "No camera is held out, so quality can be measured on training cameras only; "


def held_out_cameras(
    settings: CaptureSettings, folder: Path, names: Sequence[str], usual: Sequence[str] = ()
) -> tuple[tuple[str, ...], list[str]]:
    """The cameras that ``capture.json`` holds out, or else those of ``usual`` that exist, and a warning if there is none.

    Raises InputError as ``check_held_out`` does.
    """
    if settings.held_out is not None:
        held_out = check_held_out(settings.held_out, names, folder / "capture.json")
    else:
        held_out = tuple(name for name in usual if name in names)
        held_out = held_out if len(held_out) < len(names) else ()
    return held_out, [] if held_out else [none_held_out(names)]


def none_held_out(names: Sequence[str]) -> str:
    return f'{NONE_HELD_OUT}a file capture.json with {{"held_out": ["{names[0]}"]}} would hold one out.'


def leave_out(names: Sequence[str]) -> str:
    """What to do so that cameras are left out: the end of a sentence that begins with "leave"."""
    them = "it" if len(names) == 1 else "them"
    return f"{them} out by {json.dumps({'exclude': list(names)}, ensure_ascii=False)} in capture.json"


def positive_number(value: object, limit: float, what: str) -> float:
    """A finite number in (0, limit]. Raises InputError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= limit:
        raise InputError(f"{what} must be a number above 0 and at most {limit:g}, but is {str(value)[:40]!r}.")
    return float(value)


def positive_integer(value: object, limit: int, what: str) -> int:
    """An integer in [1, limit]. Raises InputError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limit:
        raise InputError(f"{what} must be an integer from 1 to {limit}, but is {str(value)[:40]!r}.")
    return value


def plain_name(value: object, what: str) -> str:
    """A name that is one path component: whatever a file system allows except control characters. Raises InputError otherwise."""
    fits = isinstance(value, str) and 0 < len(value) <= MAX_PART and value not in (".", "..")
    if not isinstance(value, str) or not fits or not value.isprintable() or "/" in value or "\\" in value:
        raise InputError(
            f"{what} must be a plain name (1 to {MAX_PART} printable characters without '/' and '\\'), but is {str(value)[:60]!r}."
        )
    return value


def camera_names(value: object, what: str) -> tuple[str, ...]:
    """A list of distinct plain names. Raises InputError otherwise."""
    if not isinstance(value, list):
        raise InputError(f"{what} must be a list of camera names.")
    names = tuple(plain_name(item, f"{what}: a camera name") for item in value)
    if len(set(names)) != len(names):
        raise InputError(f"{what} names a camera twice.")
    return names


def named_cameras(values: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """The cameras that an option names: each of its values is a name, or several between commas. Names that are not known are kept.

    Names may have commas themselves: the longest part between commas that is a known name is taken for one.
    """
    found: list[str] = []
    for value in values:
        parts = value.split(",")
        while parts:
            ends = range(len(parts), 0, -1)
            end = next((end for end in ends if ",".join(parts[:end]).strip() in known), 1)
            found.append(",".join(parts[:end]).strip())
            parts = parts[end:]
    return tuple(dict.fromkeys(name for name in found if name))


def check_held_out(held_out: Sequence[str], cameras: Sequence[str], where: Path) -> tuple[str, ...]:
    """Raises InputError if a held-out camera does not exist, or none is left to reconstruct from."""
    for name in held_out:
        if name not in cameras:
            raise InputError(f"{where} holds out the camera {name!r}, but the cameras are {', '.join(cameras)}.")
    if len(held_out) >= len(cameras):
        raise InputError(f"{where} holds out all {len(cameras)} cameras, so none is left to reconstruct from: hold out fewer.")
    return tuple(held_out)
