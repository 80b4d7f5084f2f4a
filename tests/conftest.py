"""Fixtures shared by the whole suite."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny_capture import write_tiny_capture

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[1]
# Modules of many seconds. They are begun first, so that at the end no process waits for one of them, and in turn one that drives a browser
# and one that calculates: the first wait for pictures and answers, the second use a processor all the time.
LONG = (
    "tests/viewer/test_workbench_browser.py", "tests/checks/test_check.py",
    "tests/viewer/test_edit_tools_browser.py", "tests/jobs/test_reconstruct.py",
    "tests/viewer/test_camera_path_browser.py", "tests/test_cli.py",
    "tests/viewer/test_track_panels.py", "tests/pipelines/test_motions.py",
    "tests/viewer/test_stage_browser.py", "tests/pipelines/test_chain.py",
    "tests/viewer/test_camera_pane.py", "tests/sfm/test_prepare.py",
    "tests/viewer/test_timeline.py", "tests/jobs/test_kills.py", "tests/benchmarks/test_bench_motion.py",
    "tests/viewer/test_tabs_in_browser.py", "tests/commands/test_tracks_command.py", "tests/commands/test_bench_command.py",
    "tests/training/test_surround.py", "tests/training/test_first_frame.py", "tests/commands/test_bench_speed_command.py",
    "tests/training/test_photometric.py", "tests/tracking/trackers/test_matching.py", "tests/captures/test_broken_captures.py",
    "tests/tracking/test_contract.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: index for index, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(LONG)))


def pytest_collection_finish() -> None:
    """Modules and tests stay until the end: the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Captures that are too large for the repository; tests that need them skip where they are absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the test captures (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def device() -> torch.device:
    """For tests of Triton's kernels: CUDA, or the CPU where Triton interprets them (TRITON_INTERPRET=1)."""
    triton = pytest.importorskip("triton")
    import torch

    if not torch.cuda.is_available() and not triton.knobs.runtime.interpret:
        pytest.skip("needs a CUDA device")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="session")
def small_capture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An N3DV capture of 4 cameras x 6 frames of 64x48 pixels: see ``tiny_capture``. Read it, do not write into it."""
    return write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny")


@pytest.fixture(scope="session")
def small_capture(small_capture_folder: Path) -> Iterator[Capture]:
    """``small_capture_folder``, opened; cam00 is held out."""
    capture = open_capture(small_capture_folder)
    yield capture
    capture.close()
