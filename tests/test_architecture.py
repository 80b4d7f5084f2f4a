"""The real import graph: one direction, no circles, nothing heavy where it is not wanted."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A package may import those before it, and itself.
LAYERS = (
    ("errors", "locks", "files", "events", "registry", "ply_files", "words"),
    ("geometry",),
    ("captures", "gaussians"),
    ("metrics", "checks", "sfm", "rendering", "camera_paths"),
    ("tracking",),
    ("motion",),
    ("training", "diagnosis"),
    ("edits",),
    ("pipelines",),
    ("store",),
    ("document",),
    ("jobs",),
    ("benchmarks",),
    ("commands",),
    ("cli",),
    ("__main__",),
    ("viewer",),
)
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
BESIDE = {
    ("captures", "gaussians"), ("gaussians", "captures"), ("files", "errors"), ("files", "locks"), ("locks", "errors"),
    ("ply_files", "errors"), ("ply_files", "files"), ("registry", "errors"), ("rendering", "metrics"),
}  # fmt: skip

# What the store takes of the layers below it: data types and their names, nothing that computes.
STORE_TAKES = {
    "trackersplat.captures.capture", "trackersplat.captures.camera", "trackersplat.captures.demo", "trackersplat.captures.fingerprints",
    "trackersplat.gaussians.gaussians", "trackersplat.gaussians.lineage", "trackersplat.gaussians.ply", "trackersplat.gaussians.sequence",
    "trackersplat.gaussians.readers.reader", "trackersplat.gaussians.codes", "trackersplat.gaussians.compact_file",
    "trackersplat.metrics.names", "trackersplat.motion.evidence", "trackersplat.motion.followed_tracks",
    "trackersplat.motion.motion", "trackersplat.pipelines.pipeline", "trackersplat.pipelines.registry",
    "trackersplat.tracking.tracks", "trackersplat.training.photometric",
    "trackersplat.errors", "trackersplat.events", "trackersplat.files", "trackersplat.locks", "trackersplat.geometry.devices",
}  # fmt: skip


def modules() -> dict[str, Path]:
    found = {}
    for package in ("trackersplat", "viewer"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports anywhere, but not those that only a type checker sees."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
            found |= inside or {node.module or ""}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in MODULES}


@cache
def graph() -> dict[str, set[str]]:
    """What every module imports. Not made while tests are collected: that takes seconds in each of their processes."""
    return {name: imports(path) for name, path in MODULES.items()}


def package(module: str) -> str:
    parts = module.split(".")
    return "viewer" if parts[0] == "viewer" else parts[1] if len(parts) > 1 else ""


def test_every_package_has_a_place_in_the_layers() -> None:
    assert {package(name) for name in MODULES} - {""} == set(LEVEL)


def test_imports_go_one_way() -> None:
    upward = [
        f"{name} imports {other}"
        for name, others in graph().items()
        for other in sorted(others)
        if (ours := package(name)) and (theirs := package(other)) and ours != theirs
        if LEVEL[theirs] >= LEVEL[ours] and (ours, theirs) not in BESIDE
    ]
    assert upward == []


def test_no_two_modules_import_each_other_over_any_way() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_library_knows_nothing_of_the_viewer() -> None:
    assert [name for name, others in graph().items() if package(name) != "viewer" and any(package(o) == "viewer" for o in others)] == []


def test_the_store_takes_data_types_only() -> None:
    taken = {other for name, others in graph().items() if package(name) == "store" for other in others if package(other) != "store"}
    assert taken - STORE_TAKES == set()


def test_pipelines_touch_no_disk() -> None:
    """But the images of the capture."""
    for name, path in MODULES.items():
        if package(name) == "pipelines":
            text = path.read_text(encoding="utf-8")
            assert not any(word in text for word in (".open(", "write_", "read_gaussians", "mkdir", "trackersplat.files")), name


@pytest.mark.parametrize("module", ["trackersplat", "trackersplat.captures.registry", "trackersplat.tracking.registry"])
def test_listing_what_there_is_imports_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print(*sorted({{'torch', 'cv2', 'numba', 'viser'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_saying_what_a_capture_is_needs_no_torch() -> None:
    script = "import sys; from trackersplat.commands.info import Info; Info('demo').run(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()[-1] == "False"


def test_the_help_of_the_command_line_imports_nothing_heavy() -> None:
    script = "import sys, trackersplat.cli; print(*sorted({'torch', 'cv2', 'numba', 'viser', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == ""
