"""The formats of track files by name. Listing them imports nothing of what they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trackersplat.errors import InputError
from trackersplat.files import has_file
from trackersplat.registry import Facts, Registry
from trackersplat.tracking.files.npz import NpzFile

if TYPE_CHECKING:
    from trackersplat.tracking.files.track_file import TrackFile


@dataclass(frozen=True, kw_only=True)
class TrackFormatFacts(Facts):
    """``load`` names a `ReadArrays`, or a `ReadFile` where ``arrays`` is empty."""

    dimensions: int  # 2: tracks in the images of one camera; 3: in space
    arrays: tuple[tuple[str, ...], ...] = ()  # a file that has all arrays of one of these is of this format
    suffixes: tuple[str, ...] = ()  # of files that are no .npz


class ReadArrays(Protocol):
    def __call__(self, file: NpzFile, *, truth: bool, size: tuple[int, int] | None) -> TrackFile:
        """``truth``: of a file with both, the truth and not the prediction. ``size``: of the images, where the file does not tell it."""
        ...


class ReadFile(Protocol):
    def __call__(self, path: Path, *, truth: bool, size: tuple[int, int] | None) -> TrackFile: ...


_FORMATS = "trackersplat.tracking.files.formats"

# In the order in which a file is compared with them: the first that fits is taken.
TRACK_FORMATS: Registry[TrackFormatFacts] = Registry(
    "format of tracks",
    (
        TrackFormatFacts(
            name="tapvid3d",
            title="TAPVid-3D .npz, truth or prediction",
            load=f"{_FORMATS}.tapvid3d:read",
            dimensions=3,
            arrays=(("tracks_XYZ", "visibility"), ("tracks_xyz", "visibility"), ("tracks_xyz", "visible")),
        ),
        TrackFormatFacts(
            name="tapip3d",
            title="TAPIP3D result .npz",
            load=f"{_FORMATS}.tapip3d:read",
            dimensions=3,
            arrays=(("coords", "visibs", "query_points"), ("coords", "visibs", "query_point")),
        ),
        TrackFormatFacts(
            name="spatracker2",
            title="SpatialTrackerV2 result .npz",
            load=f"{_FORMATS}.spatracker2:read",
            dimensions=3,
            arrays=(("coords", "visibs"),),
        ),
        TrackFormatFacts(
            name="mvtracker",
            title="MVTracker results, evaluations or annotations .npz",
            load=f"{_FORMATS}.mvtracker:read",
            dimensions=3,
            arrays=(
                ("traj_e", "vis_e"),
                ("pred_trajectories_3d", "pred_visibilities_any_view"),
                ("trajectories", "per_view_visibilities"),
            ),
        ),
        TrackFormatFacts(
            name="tapvid",
            title="TAP-Vid arrays of one video as .npz",
            load=f"{_FORMATS}.tapvid:read",
            dimensions=2,
            arrays=(("points", "occluded"),),
        ),
        TrackFormatFacts(
            name="cotracker",
            title="CoTracker tensors, .npz or .pt",
            load=f"{_FORMATS}.cotracker:read",
            dimensions=2,
            arrays=(("pred_tracks", "pred_visibility"), ("tracks", "visibility"), ("pred_tracks",)),
            suffixes=(".pt", ".pth"),
        ),
    ),
)


def read_tracks_of(path: Path, form: str | None = None, *, truth: bool = False, size: tuple[int, int] | None = None) -> TrackFile:
    """The tracks in a file, of the format of that name, or of the one that its arrays tell.

    Pickled files are refused, because opening one runs whatever it holds. Raises InputError, which names the file, if it is missing,
    damaged, of no known format, or its numbers are implausible.
    """
    if not has_file(path):
        raise InputError(f"There is no file {path}: give a file with tracks.")
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise InputError(f"{path} is a pickle, which runs code when it is opened: save its arrays with numpy.savez (docs/tracks.md).")
    other = next((facts.name for facts in TRACK_FORMATS if path.suffix.lower() in facts.suffixes), None)
    if other is not None:
        if form not in (None, other):
            raise InputError(f"{path} has the suffix of {other} files, not of {form}.")
        read_file: ReadFile = TRACK_FORMATS.load(other)
        return read_file(path, truth=truth, size=size)
    file = NpzFile(path)
    name = form or detected(file.facts)
    if name is None:
        known = ", ".join(facts.name for facts in TRACK_FORMATS)
        raise InputError(f"{path} has the arrays {_listed(file.facts)}, which are those of no known format of tracks ({known}).")
    read: ReadArrays = TRACK_FORMATS.load(name)
    return read(file, truth=truth, size=size)


def detected(members: Mapping[str, object]) -> str | None:
    """The name of the format with these arrays, None if there is none."""
    for facts in TRACK_FORMATS:
        if any(set(names) <= set(members) for names in facts.arrays):
            return facts.name
    return None


def _listed(members: Mapping[str, object]) -> str:
    names = sorted(members)
    return ", ".join(names[:12]) + (" and others" if len(names) > 12 else "") if names else "of nothing"
