"""Compiles what numba compiles in the tests, once, into its cache: else each of their processes, and each page, would do it anew.

What a test proves does not depend on it: who calls a kernel that is not in the cache compiles it. Arguments name the parts that are
compiled, by default all of `PARTS`.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "scenes")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from quad_scene import quad_capture  # noqa: E402  (tests/scenes)

from trackersplat.gaussians.exporters.registry import EXPORTERS  # noqa: E402
from trackersplat.gaussians.gaussians import Gaussians  # noqa: E402
from trackersplat.geometry.symmetric import isotropic  # noqa: E402
from trackersplat.motion.ops.graph_system import GraphSystem  # noqa: E402
from trackersplat.motion.settings import SolverSettings  # noqa: E402
from trackersplat.rendering.backends.portable import PortableRasterizer  # noqa: E402
from trackersplat.tracking.consistency.triangulate import triangulate  # noqa: E402
from trackersplat.tracking.registry import create_tracker, default_tracker  # noqa: E402
from trackersplat.tracking.views import track_views  # noqa: E402
from trackersplat.training.first_frame.fit import fit_first_frame  # noqa: E402
from trackersplat.training.first_frame.settings import FirstFrameSettings  # noqa: E402
from trackersplat.training.points.settings import PointSettings  # noqa: E402

POINTS = ("planes", "patches", "ground")  # strategies that call all kernels of first points


def fits() -> None:
    rasterizer = PortableRasterizer()
    rasterizer.prepare()
    short = FirstFrameSettings(steps=1, prune=0.0, cull_sh=0.0)
    capture = quad_capture()
    for name in POINTS:
        list(fit_first_frame(capture, 0, rasterizer, replace(short, points=PointSettings(strategy=name, max_side=80, count=500))))


def tracks() -> None:
    list(track_views(create_tracker(default_tracker("cpu"), "cpu"), quad_capture(), [0], 0, [1]))


def formats() -> None:
    count = 8
    means, quats, sh = torch.randn(count, 3), torch.randn(count, 4), torch.randn(count, 4, 3)
    few = Gaussians(means, quats, torch.zeros(count, 3), torch.zeros(count), sh)
    with tempfile.TemporaryDirectory() as folder:
        for name in EXPORTERS.names():
            if EXPORTERS.why_unavailable(name) is None:
                list(EXPORTERS.load(name).export([(0, few)], Path(folder) / f"{name}{EXPORTERS.facts(name).suffix}"))


def motion() -> None:
    """Two nodes of a graph, of which one is known; a point that two views see."""
    both, weight = torch.tensor((True, True)), torch.ones(1, dtype=torch.float64)
    system = GraphSystem(both, torch.tensor((True, False)), torch.tensor((0,)), torch.tensor((1,)), SolverSettings())
    system.solve(isotropic(torch.tensor((1.0, 0.0), dtype=torch.float64)), torch.ones(2, 3, dtype=torch.float64), weight)
    cameras = quad_capture().cameras[:2]
    point = np.array(((0.1, -0.2, 3.0),))
    seen = np.stack([camera.project(point)[0] for camera in cameras], axis=1)
    triangulate(np.stack([c.K @ c.world_to_camera[:3] for c in cameras]), seen[:, :, None], np.ones((1, 2, 1)), point, 1.0)


PARTS = {"fits": fits, "tracks": tracks, "formats": formats, "motion": motion}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()
