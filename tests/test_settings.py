"""Whatever changes a number is in the settings, and so in ``run.json``."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.files import read_json
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.store.run import Run
from trackersplat.tracking.registry import TRACKERS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tracking", "motion", "geometry", "training", "diagnosis", "metrics", "pipelines")

# Numbers at the top of a module that are no settings, and why. A new one either changes no result, or is defined by others.
LAYOUT_CONSTANTS = {
    "diagnosis/diagnose.py": {"MOST_VALUES": "memory budget"},
    "diagnosis/diagnosis.py": {
        "_FORMAT": "file layout: its version", "_TRACKS_AT_ONCE": "memory budget", "_FACTS_BYTES": "limit of a file that is read",
        "_LAYOUT": "file layout: its arrays",
    },
    "diagnosis/fields.py": {"_ROWS_AT_ONCE": "limit of OpenCV"},
    "geometry/curve.py": {
        "_BITS": "layout of a code", "_FINE_BITS": "the same, as the masks spread the bits", "_MASKS": "the same",
    },
    "geometry/curve_triton.py": {"_BLOCK": "kernel layout: points per program"},
    "geometry/neighbours.py": {"_DISTANCES_AT_ONCE": "memory budget", "_BOXES": "kernel layout: points of a box"},
    "geometry/neighbours_triton.py": {
        "_FAR": "marks slots without a point",
        "_ORDERED": "kernel layout: queries per program",
        "_SCANNED": "kernel layout: boxes looked over together",
    },
    "geometry/quaternions_triton.py": {"_BLOCK": "kernel layout: rotations per program"},
    "geometry/recording.py": {"_EAGER": "calls in which kernels are compiled"},
    "geometry/symmetric.py": {"UNIQUE": "layout of a symmetric 3x3 matrix in 6 numbers", "DIAGONAL": "layout: where its diagonal is"},
    "metrics/image.py": {
        "WINDOW": "definition of SSIM", "SIGMA": "definition of SSIM", "C1": "definition of SSIM", "C2": "definition of SSIM",
    },
    "metrics/ssim_triton.py": {
        "_SEGMENT": "kernel layout: numbers of a row per program",
        "_ROWS": "kernel layout: of a tile",
        "_COLUMNS": "kernel layout: of a tile",
    },
    "metrics/measure.py": {"_PROBE_PX": "size of an image on which weights are tried"},
    "metrics/lpips.py": {
        "PIXELS_AT_ONCE": "memory budget",
        "SHIFT": "definition of LPIPS: what the heads were trained with",
        "SCALE": "definition of LPIPS: what the heads were trained with",
        "EPSILON": "definition of LPIPS: guards a division by zero",
    },
    "motion/carry.py": {"_CHUNK": "memory budget"},
    "motion/followed_tracks.py": {
        "POSITION_STEP": "file layout: the unit of stored positions",
        "PROBABILITY_STEP": "file layout: the unit of stored probabilities",
        "POSITION_LIMIT": "file layout: range of stored positions",
        "CELL_BITS": "layout of an id", "FRAME_BITS": "layout of an id", "CAMERA_BITS": "layout of an id",
    },
    "motion/ops/affine.py": {"_CPU_BYTES": "memory budget", "_GPU_BYTES": "memory budget"},
    "motion/ops/affine_fit.py": {"SHARED_CHANNELS": "kernel layout", "TARGET_CHANNELS": "kernel layout"},
    "motion/apply_triton.py": {"_BLOCK": "kernel layout: Gaussians per program"},
    "motion/ops/affine_triton.py": {"_BLOCK": "kernel layout"},
    "motion/ops/conjugate_gradients_triton.py": {
        "_ROWS": "kernel layout", "_BLOCK": "kernel layout", "_WARPS": "kernel layout", "_SUMMED": "kernel layout",
        "_TOGETHER": "steps of a recording",
    },
    "motion/ops/graph_system.py": {"_ROUNDS": "more rounds find no more"},
    "motion/render_and_match_triton.py": {"_BLOCK": "kernel layout"},
    "motion/ops/images.py": {
        "_STEPS": "size of OpenCV's table of bilinear weights",
        "_FARTHEST": "range of integers: positions beyond are outside every image",
    },
    "motion/ops/graph_system_triton.py": {"_BLOCK": "kernel layout"},
    "motion/measure_triton.py": {"_BLOCK": "kernel layout"},
    "motion/ops/visibility_triton.py": {"_BLOCK": "kernel layout"},
    "motion/ops/moments_triton.py": {"_BLOCK": "kernel layout"},
    "motion/ops/rotate_triton.py": {"_BLOCK": "kernel layout"},
    "motion/ops/triangulate.py": {
        "AT_ONCE": "memory budget",
        "TINY": "guards a division by zero",
        "TINY_DEPTH": "guards a division by zero",
    },
    "motion/ops/triangulate_triton.py": {"_BLOCK": "kernel layout"},
    "motion/ops/view_evidence_triton.py": {"_BLOCK": "kernel layout"},
    "motion/sh_rotation.py": {"_SAMPLES": "size of a matrix whose result is exact", "_CHUNK": "memory budget"},
    "motion/solve.py": {"_MOTIONS_AT_ONCE": "memory budget", "_ROTATIONS_AT_ONCE": "memory budget"},
    "pipelines/motions.py": {"_RENDERED_TOGETHER": "memory budget"},
    "pipelines/measure.py": {"VIEWS_AT_ONCE": "memory budget"},
    "pipelines/settings.py": {"MEASURE_EVERY": "default of a setting, first.measure_every"},
    "metrics/tracks/compared.py": {"RASTER": "of the protocol"},
    "metrics/tracks/tapvid.py": {"THRESHOLDS_PX": "of the protocol"},
    "metrics/tracks/tapvid3d.py": {"THRESHOLDS_M": "of the protocol", "THRESHOLDS_PX": "of the protocol", "_TINY": "of the protocol"},
    "motion/lifting/queries.py": {"MINIMUM_ALPHA": "what a surface is"},
    "motion/lifting/triangulate.py": {"_RIDGE": "guards a division by zero"},
    "tracking/compare.py": {"VISIBLE": "where a probability becomes yes or no"},
    "tracking/files/formats/tapip3d.py": {"CENTRE": "convention of pixels"},
    "tracking/files/formats/tapvid.py": {"_LARGEST_SIDE": "bound of a file"},
    "tracking/files/npz.py": {"MAX_BYTES": "bound of a file", "MAX_MEMBERS": "bound of a file", "_MAX_HEADER": "bound of a file"},
    "tracking/files/track_file.py": {"MAX_FRAMES": "bound of a file", "MAX_TRACKS": "bound of a file", "MAX_VALUE": "bound of a file"},
    "tracking/parts.py": {"_ROUNDING": "tolerance of a check"},
    "tracking/space_field.py": {"_QUERIES_AT_ONCE": "memory budget"},
    "tracking/space_tracks.py": {
        "OPAQUE": "what a surface is",
        "SAME_SURFACE": "what a surface is",
        "VISIBLE": "where a probability becomes yes or no",
    },
    "tracking/trackers/file.py": {"LEAST_SEEN": "plausibility of a file", "_STEP": "bytes read at a time"},
    "tracking/track_cache.py": {"DEFAULT_LIMIT": "size of a folder", "_FORMAT": "file layout: its version"},
    "tracking/trackers/tracktail.py": {"MOST_BYTES": "limit of an answer that is read"},
    "tracking/consistency/agreement.py": {"_AT_ONCE": "memory budget"},
    "tracking/consistency/surfaces.py": {"_REACH": "kernel layout: cells around a point that are read"},
    "tracking/consistency/triangulate.py": {"_SHORTEST": "guards a division by zero"},
    "tracking/trackers/dis_gpu/batch.py": {
        "MEMORY": "memory budget", "_SHARE": "memory budget", "_BYTES_PER_PIXEL": "measured memory of the code",
    },
    "tracking/trackers/dis_gpu/certainty.py": {"CERTAIN": "below it, work is saved"},
    "tracking/trackers/dis_gpu/certainty_triton.py": {"_BLOCK": "kernel layout"},
    "tracking/trackers/dis_gpu/exhaustive.py": {"REACH": "kernel layout: the window", "_OUTSIDE": "beyond every difference of two pixels"},
    "tracking/trackers/dis_gpu/exhaustive_triton.py": {
        "_OUTSIDE": "beyond every difference of two pixels", "_TILE": "kernel layout", "_WARPS": "kernel layout",
    },
    "tracking/trackers/dis_gpu/images.py": {
        "CHANNELS": "layout of packed pixels", "LANES": "layout of packed pixels",
        "_LUMA": "a definition", "_ZERO_GRADIENT": "an offset of bytes",
    },
    "tracking/trackers/dis_gpu/images_triton.py": {"_BLOCK": "kernel layout"},
    "tracking/trackers/dis_gpu/inverse_search.py": {
        "FARTHEST": "of the published method: the size of its patches", "PATCH": "kernel layout", "STRIDE": "kernel layout",
        "_FLAT": "against division by zero",
    },
    "tracking/trackers/dis_gpu/inverse_search_triton.py": {"_BLOCK": "kernel layout", "_PATCHES": "kernel layout"},
    "tracking/trackers/dis_gpu/patches.py": {
        "REACH": "kernel layout", "SAME": "displacements that patches cannot tell apart", "_NEIGHBOURS": "the four sides of a pixel",
        "_PART": "memory budget", "_STEPS": "the four sides of a pixel",
    },
    "tracking/trackers/dis_gpu/patches_triton.py": {"_BLOCK": "kernel layout"},
    "tracking/trackers/dis_gpu/tracker.py": {"_MINIMUM_SIDE": "two patches; smaller images are refused"},
    "tracking/trackers/dis_gpu/variational_triton.py": {"_BLOCK": "kernel layout"},
    "tracking/views.py": {"_PIXELS_TOGETHER": "memory budget"},
    "tracking/trackers/dis/exhaustive.py": {"_WINDOW": "kernel layout: the window is written out in the code"},
    "tracking/trackers/dis/patches.py": {
        "_REACH": "kernel layout: half side of a patch", "_SIDE": "kernel layout: side of a patch", "_LANES": "kernel layout: SIMD lanes",
        "_PHASES": "kernel layout: stored sub-pixel shifts", "_PAD": "kernel layout: border", "_ZERO_GRADIENT": "kernel layout: 0 in uint8",
    },
    "tracking/trackers/dis/tracker.py": {"_MINIMUM_SIDE": "what OpenCV's DIS needs; smaller images are refused"},
    "tracking/trackers/exact.py": {"STORED_BASE": "file layout: the frame that stored tracks start from"},
    "training/first_frame/capacity.py": {
        "MEMORY_SHARE": "memory budget", "COPIES": "memory budget", "PER_GAUSSIAN": "memory budget", "PER_PIXEL": "memory budget",
    },
    "training/first_frame/drop.py": {
        "LEAST_OPAQUE": "precision of float32: a logit that stays finite", "MOST_OPAQUE": "precision of float32: a logit that stays finite",
    },
    "training/first_frame/floaters.py": {
        "PAIRS_AT_ONCE": "memory budget", "VIEWS_TOGETHER": "memory budget", "PIXELS_TOGETHER": "memory budget",
    },
    "training/first_frame/line_of_sight.py": {
        "RAYS_AT_ONCE": "memory budget", "REACH": "as far as Gaussians are drawn", "FLATTEST": "precision of float32",
    },
    "training/first_frame/initialise.py": {"FLOAT32": "precision of float32", "LEAST": "guards a division by zero"},
    "training/adam_triton.py": {"_BLOCK": "kernel layout: numbers per program"},
    "training/optimiser.py": {"MOMENTUM": "as in torch's Adam; default of a setting, refine.momentum"},
    "training/parameter_block.py": {
        "_SQUARES": "as in torch's Adam", "_EPSILON": "as in `Optimiser`: guards a division by zero",
    },
    "training/refine/on_device.py": {"_AHEAD": "how far a GPU is ahead of what is told"},
    "training/refine/compared_views_triton.py": {"_BLOCK": "kernel layout: pixels per program"},
    "training/refine/replace_faint.py": {"_CELL_BITS": "layout of a number", "_VIEWS_AT_ONCE": "memory budget"},
    "training/refine/strain_triton.py": {"_BLOCK": "kernel layout: edges per program"},
    "training/photometric.py": {"MOST_CAMERAS": "limit of a file that is read", "LARGEST": "limit of a file that is read"},
    "training/points/colouring.py": {"MOST_POINTS": "memory budget"},
    "training/points/depth_maps.py": {"_SWEPT_AT_ONCE": "memory budget"},
    "training/points/fusion.py": {"_ROWS": "how work is shared between threads"},
    "training/points/threads.py": {"MOST": "memory budget"},
    "training/points/hull.py": {"MAX_VOXELS": "memory budget", "_AT_ONCE": "memory budget", "_FACES": "the six neighbours of a voxel"},
    "training/points/patchmatch.py": {"HALF": "kernel layout: half side of a window", "STRIDE": "kernel layout: distance of its samples"},
    "training/points/resample_on_plane.py": {"OUTSIDE": "marks samples outside an image"},
    "training/points/semiglobal.py": {"PATHS": "kernel layout: directions that are written out in the code"},
    "training/points/surround.py": {"MOST_CANDIDATES": "memory budget"},
    "training/points/sweep.py": {"_OUTSIDE": "marks samples outside an image"},
    "training/points/sweep_torch.py": {
        "_BEYOND": "marks planes that a view does not have", "_AT_ONCE": "memory budget", "_WARPED": "memory budget",
    },
}  # fmt: skip


def fields_of(settings: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All fields, also those that are settings themselves: their path and value."""
    for field in dataclasses.fields(settings):
        value, here = getattr(settings, field.name), (*path, field.name)
        yield here, value
        if dataclasses.is_dataclass(value):
            yield from fields_of(value, here)


def leaves_of(settings: Any) -> list[tuple[tuple[str, ...], Any]]:
    return [(path, value) for path, value in fields_of(settings) if not dataclasses.is_dataclass(value)]


def leaves_of_json(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in data.items():
        if isinstance(value, dict) and value:
            yield from leaves_of_json(value, (*path, name))
        else:
            yield (*path, name), value


def changed(settings: Any, path: tuple[str, ...]) -> Any:
    """The settings with another value there."""
    name, *rest = path
    value = getattr(settings, name)
    return dataclasses.replace(settings, **{name: changed(value, tuple(rest)) if rest else another(value)})


def another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, tuple):
        return value[:-1] if value else (1,)
    return "something else"


def is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str)) or (isinstance(value, tuple) and all(map(is_plain, value)))


def as_read(value: Any) -> Any:
    return [as_read(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("tracker", TRACKERS.names())
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_field_of_the_settings_is_in_the_file_of_a_run_and_nothing_else(
    small_capture: Capture, tmp_path: Path, device: str, tracker: str
) -> None:
    settings = ReconstructSettings.for_device(device, tracker=tracker)
    Run.create(tmp_path / "run", small_capture, {"settings": settings.to_json()})
    written = read_json(tmp_path / "run" / "run.json")["settings"]
    leaves = leaves_of(settings)
    assert [path for path, value in leaves if not is_plain(value)] == []
    for path, value in fields_of(settings):
        there: Any = written
        for name in path:
            there = there[name]
        assert isinstance(there, dict) if dataclasses.is_dataclass(value) else there == as_read(value), path
    without = {path for path, value in fields_of(settings) if dataclasses.is_dataclass(value) and not dataclasses.fields(value)}
    assert {path for path, _ in leaves_of_json(written)} == {path for path, _ in leaves} | without
    assert len(leaves) > 300


def test_all_settings_are_frozen() -> None:
    settings = ReconstructSettings()
    nested = [settings, *(value for _, value in fields_of(settings) if dataclasses.is_dataclass(value))]
    assert [type(value).__name__ for value in nested if not type(value).__dataclass_params__.frozen] == []  # type: ignore[attr-defined]


def test_a_run_refuses_every_other_setting_and_names_it(small_capture: Capture, tmp_path: Path) -> None:
    settings = ReconstructSettings.for_device("cpu")
    folder = tmp_path / "run"
    Run.create(folder, small_capture, {"settings": settings.to_json()})
    for path, _ in leaves_of(settings):
        other = changed(settings, path)
        with pytest.raises(InputError, match=rf"holds a run of other settings \(settings\.{'.'.join(path)} is .* was asked for\)"):
            Run.create(folder, small_capture, {"settings": other.to_json()})
    assert Run.create(folder, small_capture, {"settings": settings.to_json()}).frames() == ()


def test_every_setting_is_read_by_some_code() -> None:
    """By its name: as an attribute, or as a text where names of fields stand in one."""
    read = set()
    for path in (ROOT / "trackersplat").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                read.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                read.add(node.value)
    assert [".".join(path) for path, _ in fields_of(ReconstructSettings()) if path[-1] not in read] == []


def numbers_at_the_top(path: Path) -> set[str]:
    """Names in capitals that a module gives to numbers, or to collections of numbers."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        for target in targets:
            names = [part for part in ast.walk(target) if isinstance(part, ast.Name)]
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None and is_number(node.value):
                found |= {name.id for name in names if name.id.isupper()}
    return found


def is_number(value: ast.expr) -> bool:
    """Whether numbers stand in an expression, and no other function than one that makes an array of them."""
    calls = [node.func for node in ast.walk(value) if isinstance(node, ast.Call)]
    arrays = all(isinstance(call, ast.Attribute) and call.attr in ("array", "tensor", "asarray") for call in calls)
    numbers = [node for node in ast.walk(value) if isinstance(node, ast.Constant) and type(node.value) in (int, float)]
    return arrays and bool(numbers)


def test_numbers_at_the_top_of_modules_are_those_that_are_known_to_be_no_settings() -> None:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / "trackersplat" / package).rglob("*.py"):
            if names := numbers_at_the_top(path):
                found[path.relative_to(ROOT / "trackersplat").as_posix()] = names
    assert found == {module: set(reasons) for module, reasons in LAYOUT_CONSTANTS.items()}


def test_a_number_at_the_top_of_a_module_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "import numpy as np\nA = 0.5\nB, C = 4, 2\n_D: int = 2 * C\nE = np.array([1, 2])\nF = 'text'\nG = make(3)\nh = 4\nI = -1\n"
        "J = {'k': 2}\nK = float('inf')\ndef f():\n    L = 3\n"
    )
    assert numbers_at_the_top(module) == {"A", "B", "C", "_D", "E", "I", "J"}
