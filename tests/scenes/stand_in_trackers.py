"""Stand-ins for the code of learned trackers: the published signatures, which check what they are given and answer a known translation.

Each samples the base frame at the queries, by its own convention of pixels and values, and keeps that as ``seen``: on a ramp image this
tells range, axis order and pixel convention at once. Positions move by `STEP` pixels of the working image per frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

STEP = (3.0, -2.0)  # px of the working image per frame, x and y

_SAMPLE = """
import torch
from torch import nn

STEP = torch.tensor((3.0, -2.0))

def sample(image, x, y):
    '''(N, C) bilinear values of an (h, w, C) image at array indices.'''
    height, width = image.shape[:2]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor().clamp(max=width - 2).long(), y.floor().clamp(max=height - 2).long()
    u, v = (x - left)[:, None], (y - top)[:, None]
    return ((1 - v) * ((1 - u) * image[top, left] + u * image[top, left + 1])
            + v * ((1 - u) * image[top + 1, left] + u * image[top + 1, left + 1]))

def moved(points, count):
    '''(T, N, 2): (x, y) moves by STEP per frame.'''
    return points[None] + torch.arange(count)[:, None, None] * STEP

class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
"""

_COTRACKER = (
    _SAMPLE
    + """
class CoTracker(Weighted):
    def __init__(self, window_len, online, v2, first=False):
        super().__init__()
        self.window_len = self.S = window_len
        self.online, self.v2, self.first, self.calls, self.history = online, v2, first, [], None

    def init_video_online_processing(self):
        self.history = 0

    def forward(self, video=None, queries=None, iters=4, is_online=False, rgbs=None):
        assert (video is None) == self.first, "the first CoTracker takes rgbs, the others video"
        video = rgbs if self.first else video
        assert video.dtype == queries.dtype == torch.float32
        batch, count, channels, height, width = video.shape
        assert (batch, channels) == (1, 3) and queries.shape[0] == 1 and queries.shape[2] == 3
        assert video.min() >= 0 and 1.5 < video.max() <= 255, "images must be in 0-255"
        assert (queries[..., 0] == 0).all(), "queries are (t, x, y)"
        assert (queries[0, :, 1] <= width - 0.49).all() and (queries[0, :, 2] <= height - 0.49).all()
        assert is_online == self.online
        if not self.online and (self.v2 or self.first):
            assert count >= self.window_len, "a window that is not full gives zeros"
        if is_online:
            assert count <= self.window_len
            assert self.history is not None, "init_video_online_processing comes first"
            if self.history == 0:
                self.seen = sample(video[0, 0].permute(1, 2, 0), queries[0, :, 1], queries[0, :, 2])
            self.history += count if self.history == 0 else min(self.window_len // 2, count - self.window_len // 2)
            count = self.history
        else:
            self.seen = sample(video[0, 0].permute(1, 2, 0), queries[0, :, 1], queries[0, :, 2])
        self.calls.append((tuple(video.shape), queries.shape[1]))
        positions = moved(queries[0, :, 1:], count)[None]
        visibility = (0.9 - 0.125 * torch.arange(count))[None, :, None].expand(1, count, queries.shape[1])
        if self.first:
            return positions, None, visibility, None
        return (positions, visibility, None) if self.v2 else (positions, visibility, visibility / 2, None)
"""
)
_BUILD = """
from cotracker.models.core.cotracker.cotracker import CoTracker

def build_cotracker(checkpoint=None, offline=True, window_len=16, v2=False):
    assert checkpoint is None
    return CoTracker(window_len, online=not offline and not v2, v2=v2)

def build_cotracker_stride_4_wind_8(checkpoint=None):
    return CoTracker(8, online=False, v2=False, first=True)
"""
_GRID = """
import torch

def get_points_on_a_grid(size, extent, center=None, device=torch.device("cpu")):
    height, width = extent
    y, x = torch.meshgrid(torch.linspace(6, height - 6, size), torch.linspace(8, width - 8, size), indexing="ij")
    return torch.stack((x, y), -1).reshape(1, -1, 2)
"""

_TAPIR = (
    _SAMPLE
    + """
class Model(Weighted):
    def __init__(self, **made):
        super().__init__()
        self.made = made

    def forward(self, video, query_points, is_training=False, query_chunk_size=64):
        assert video.dtype == query_points.dtype == torch.float32
        batch, count, height, width, channels = video.shape
        assert (batch, channels) == (1, 3) and height % 8 == 0 and width % 8 == 0
        assert -1 <= video.min() < -0.5 and 0 < video.max() <= 1, "images must be in [-1, 1]"
        assert (query_points[..., 0] == 0).all(), "queries are (t, y, x)"
        y, x = query_points[0, :, 1], query_points[0, :, 2]
        self.seen = sample((video[0, 0] + 1) * 127.5, x - 0.5, y - 0.5)
        tracks = moved(torch.stack((x, y), -1), count).transpose(0, 1)[None]
        logits = torch.arange(count, dtype=torch.float32).expand(1, len(x), count)
        return {"tracks": tracks, "occlusion": logits - 1, "expected_dist": 1 - logits}
"""
)


def write_cotracker(code: Path, clone: str) -> None:
    """The clone of CoTracker, of the first or of a later version."""
    models = code / clone / "cotracker" / "models"
    (models / "core" / "cotracker").mkdir(parents=True)
    for folder in (models.parent, models, models / "core", models / "core" / "cotracker"):
        (folder / "__init__.py").write_text("")
    (models / "core" / "cotracker" / "cotracker.py").write_text(_COTRACKER + _GRID)
    seeding = "import random, torch\nrandom.seed(0)\ntorch.manual_seed(0)\n"
    (models / "core" / "model_utils.py").write_text(seeding + _GRID)
    (models / "build_cotracker.py").write_text(_BUILD)


def write_tapnet(code: Path, clone: str) -> None:
    """The clone of tapnet."""
    (code / clone / "tapnet" / "torch").mkdir(parents=True)
    (code / clone / "tapnet" / "torch" / "tapir_model.py").write_text(_TAPIR + "\nTAPIR = Model\n")


def write_locotrack(code: Path, clone: str) -> None:
    """The clone of LocoTrack, whose package has the name ``models``."""
    (code / clone / "locotrack_pytorch" / "models").mkdir(parents=True)
    (code / clone / "locotrack_pytorch" / "models" / "locotrack_model.py").write_text(
        "from models import names\n" + _TAPIR + "\nLocoTrack = Model\n"
    )
    (code / clone / "locotrack_pytorch" / "models" / "names.py").write_text("")


def write_weights(path: Path, *inside: str, prefix: str = "") -> None:
    """The one parameter of every stand-in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, weight=np.arange(3.0))
        return
    state: dict[str, object] = {f"{prefix}weight": torch.arange(3.0)}
    for name in reversed(inside):
        state = {name: state}
    torch.save(state, path)


_TAPNEXT = (
    _SAMPLE
    + """
class TAPNext(Weighted):
    def __init__(self, image_size):
        super().__init__()
        self.image_size = image_size

    def forward(self, video, query_points=None, state=None):
        batch, count, height, width, channels = video.shape
        assert (batch, count, height, width, channels) == (1, 1, *self.image_size, 3)
        assert -1 <= video.min() and video.max() <= 1, "images must be in [-1, 1]"
        assert (query_points is None) == (state is not None), "queries come with the first frame only"
        if state is None:
            assert (query_points[..., 0] == 0).all(), "queries are (t, y, x)"
            y, x = query_points[0, :, 1], query_points[0, :, 2]
            self.seen = sample((video[0, 0] + 1) * 127.5, x - 0.5, y - 0.5)
            state = (0, torch.stack((x, y), -1))
        step, points = state
        xy = moved(points, step + 1)[-1]
        logits = torch.full((1, 1, len(points), 1), 1.0 - step)
        return xy.flip(-1)[None, None], logits, logits, (step + 1, points)
"""
)
_TAPNEXT_TOOLS = """
import numpy as np, torch

def restore_model_from_jax_checkpoint(model, path):
    model.weight.data.copy_(torch.tensor(np.load(path)["weight"]))
    return model

def tracker_certainty(coordinates, logits, radius=8):
    assert radius == 8
    return torch.full((*coordinates.shape[:-1], 1), 0.625)
"""

_ALLTRACKER = (
    _SAMPLE
    + """
class Net(Weighted):
    def __init__(self, seqlen, use_basicencoder=False, no_split=False, init_weights=True):
        super().__init__()
        assert use_basicencoder or not init_weights, "it would download its first weights"
        self.seqlen = seqlen

    def forward_sliding(self, images, iters=4, is_training=False):
        batch, count, channels, height, width = images.shape
        assert (batch, channels) == (1, 3) and height % 8 == width % 8 == 0 and min(height, width) >= 128
        assert images.min() >= 0 and 1.5 < images.max() <= 255, "images must be in 0-255"
        assert (count - self.seqlen) % (self.seqlen // 2) == 0 and is_training, "it fills windows itself only where there is a GPU"
        self.seen = images[0, 0].permute(1, 2, 0)
        times = torch.arange(count, dtype=torch.float32)
        flow = (times[:, None] * STEP)[:, :, None, None].expand(count, 2, height, width)
        both = torch.stack((0.9 - 0.05 * times, 0.5 + 0 * times), 1)[:, :, None, None].expand(count, 2, height, width)
        return flow[None], both[None], [], []
"""
)

_DOT = {
    "utils/io.py": "import argparse, json\ndef read_config(path):\n    return argparse.Namespace(**json.load(open(path)))\n",
    "models/interpolation.py": """
import torch

def interpolate(source, target, grid, version):
    assert version == "torch" and source.min() >= 0 and source[..., :2].max() <= 1, "positions are shares of the image"
    flow = (target - source)[:, :, :2].mean(1)[:, None, None].expand(1, *grid.shape[:2], 2)
    return flow * flow.new_tensor((grid.shape[1] - 1, grid.shape[0] - 1)), target[..., 2].mean(1)[:, None, None].expand(1, *grid.shape[:2])
""",
    "models/optical_flow.py": """
import json, torch
from torch import nn

class Model(nn.Module):
    def __init__(self, patch):
        super().__init__()
        self.weight, self.patch = nn.Parameter(torch.zeros(3)), patch

    def encode(self, frame):
        assert 0 <= frame.min() and frame.max() <= 1, "images must be in [0, 1]"
        return frame

    def forward(self, src_feats, tgt_feats, coarse_flow, coarse_alpha):
        height, width = src_feats.shape[-2:]
        flow = (self.patch * coarse_flow).mean((1, 2), keepdim=True).expand(1, height, width, 2)
        fine = flow / self.patch / coarse_flow.new_tensor((width // self.patch - 1, height // self.patch - 1))
        return fine * fine.new_tensor((width - 1, height - 1)), coarse_alpha.mean().expand(1, height, width)

class OpticalFlow(nn.Module):
    def __init__(self, height, width, config, load_path):
        super().__init__()
        assert load_path is None
        patch = json.load(open(config))["patch_size"]
        self.model = Model(patch)
        self.register_buffer("coarse_grid", torch.zeros(height // patch, width // patch, 2))
""",
    "models/point_tracking.py": """
import torch

class PointTracker:
    def get_tracks_at_motion_boundaries(self, data, num_tracks, sim_tracks):
        video = data["video"]
        assert 0 <= video.min() and video.max() <= 1, "images must be in [0, 1]"
        height, width = video.shape[-2:]
        found = []
        for _ in range(num_tracks // sim_tracks):
            points = torch.rand(1, sim_tracks, 3) * torch.tensor((0.0, width / 2, height / 2)) + torch.tensor((0.0, 8.0, 20.0))
            tracks, seen = self.model(video, points, True, False)
            found.append(torch.cat((tracks, seen[..., None].float()), -1))
        return {"tracks": torch.cat(found, 2)}
""",
    "models/shelf/__init__.py": _SAMPLE
    + """
class Front(Weighted):
    def __init__(self, arguments=None, range=1, shortest=2):
        super().__init__()
        self.range, self.shortest = range, shortest

    def forward(self, video, queries, backward_tracking, cache_features=False):
        assert video.shape[1] >= self.shortest
        assert 0.5 * self.range < video.max() <= self.range, f"images must be in 0-{self.range}"
        positions = moved(queries[0, :, 1:], video.shape[1])[None]
        return positions, torch.full(positions.shape[:-1], 1.0)

class CoTracker2(Front):
    def __init__(self, arguments):
        super().__init__(arguments, shortest=arguments.wind_size)

Tapir = Front
""",
    "models/shelf/cotracker3_utils/predictor.py": """
from torch import nn
from dot.models.shelf import Front

class CoTrackerPredictor(nn.Module):
    def __init__(self, checkpoint, offline, v2, window_len):
        super().__init__()
        assert checkpoint is None and offline and not v2 and window_len == 60
        self.model = Front(range=255)

    def forward(self, video, queries, backward_tracking):
        return self.model(video, queries, backward_tracking)
""",
}

_MVTRACKER = (
    _SAMPLE
    + """
class MVTracker(Weighted):
    def __init__(self, **settings):
        super().__init__()
        assert settings["sliding_window_len"] == 12 and not settings["use_flash_attention"]

    def forward(self, rgbs, depths, query_points, intrs, extrs, iters=4):
        views, count, height, width = rgbs.shape[1], rgbs.shape[2], *rgbs.shape[-2:]
        assert rgbs.shape == (1, views, count, 3, height, width) and depths.shape == (1, views, count, 1, height, width)
        assert intrs.shape == (1, views, count, 3, 3) and extrs.shape == (1, views, count, 3, 4) and query_points.shape[2] == 4
        assert 1.5 < rgbs.max() <= 255 and count >= 12
        self.given = {"depths": depths, "queries": query_points, "intrs": intrs, "extrs": extrs, "rgbs": rgbs}
        start, points = query_points[0, :, 0], query_points[0, :, 1:]
        times = torch.arange(count)[:, None, None]
        positions = points + (times - start[:, None]) * torch.tensor((0.25, -0.5, 0.125))
        positions = positions * (times >= start[:, None])
        return {"traj_e": positions[None], "vis_e": torch.full(positions.shape[:2], 0.75)[None]}
"""
)

_SPATRACKER = (
    _SAMPLE
    + """
import cupy

class SpaTracker(Weighted):
    def __init__(self, stride, S, add_space_attn, space_depth, time_depth):
        super().__init__()
        self.S = S
        # As the published one compiles its kernel, by what CuPy 13 has not any more.
        assert cupy.cuda.compile_with_cache("kernel", ("-I cuda",)).get_function("splat") == ("kernel", ("-I cuda",), "splat")

    def forward(self, rgbds, queries, iters=4, intrs=None, wind_S=None):
        batch, count, channels, height, width = rgbds.shape
        assert (batch, channels) == (1, 4) and wind_S == self.S and count >= self.S and intrs.shape == (1, count, 3, 3)
        assert 1.5 < rgbds[:, :, :3].max() <= 255, "images must be in 0-255"
        times, x, y, depth = queries[0].unbind(-1)
        known = rgbds[0, :, 3] > 0.01  # smaller ones are unknown to the published one
        assert known.any() and (depth > 0.01).all(), "depths must be far from 0"
        self.given = {"queries": queries[0], "intrs": intrs[0, 0], "depths": rgbds[0, :, 3]}
        since = torch.arange(count)[:, None, None] - times[:, None]  # frames since the query
        positions = torch.cat((torch.stack((x, y), -1) + since * STEP, depth.expand(count, -1)[..., None]), -1)
        positions = positions * (since >= 0)
        return positions[None], None, torch.full(positions.shape[:2], 0.75)[None]
"""
)

_CUPY = """
import types

class RawModule:
    def __init__(self, code, options):
        self.made = (code, options)

    def get_function(self, name):
        return (*self.made, name)

cuda = types.SimpleNamespace()
"""

_SPATRACKER_2 = """
import types
import numpy as np
import torch
from torch import nn

class Predictor(nn.Module):
    @classmethod
    def from_pretrained(cls, folder):
        made = cls()
        made.folder, made.spatrack = folder, types.SimpleNamespace(track_num=0)
        return made

    def to(self, device):  # as the published one does, it returns nothing
        super().to(device)

    def forward(self, video, depth, intrs, extrs, queries, fps, full_point, iters_track, query_no_BA, fixed_cam, stage, unc_metric,
                support_frame, replace_ratio):
        count, _, height, width = video.shape
        assert count >= 3, "it takes second differences over time"
        assert video.device.type == "cpu" and 1.5 < video.max() <= 255 and isinstance(depth, np.ndarray) and isinstance(queries, np.ndarray)
        assert depth.shape == (count, height, width) and intrs.shape == (count, 3, 3) and np.allclose(extrs, np.eye(4)) and fixed_cam
        self.given = {"queries": queries, "intrs": intrs[0]}
        x, y = queries[:, 1], queries[:, 2]
        z = depth[queries[:, 0].astype(int), np.rint(y).astype(int), np.rint(x).astype(int)]
        rays = np.stack((x, y, np.ones_like(x)), -1) @ np.linalg.inv(intrs[0].numpy()).T
        points = torch.from_numpy(rays * z[:, None]).float().expand(count, -1, -1)
        ones = torch.ones(count, len(x), 1)
        return torch.eye(4).expand(count, -1, -1), intrs, None, None, points, points[..., :2], 0.75 * ones, 0.5 * ones, video
"""


def write_tapnext(code: Path, clone: str) -> None:
    """The part of tapnet that is TAPNext."""
    folder = code / clone / "tapnet" / "tapnext"
    folder.mkdir(parents=True)
    (folder / "tapnext_torch.py").write_text(_TAPNEXT)
    (folder / "tapnext_torch_utils.py").write_text(_TAPNEXT_TOOLS)


def write_alltracker(code: Path, clone: str) -> None:
    """The clone of AllTracker."""
    (code / clone / "nets").mkdir(parents=True)
    (code / clone / "nets" / "alltracker.py").write_text(_ALLTRACKER)


def write_dot(code: Path, clone: str) -> None:
    """The clone of DOT."""
    for name, text in _DOT.items():
        path = code / clone / "dot" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (code / clone / "configs").mkdir()
    for name in ("raft_patch_8", "raft_patch_4_alpha", "tapir", "bootstapir", "cotracker2_patch_4_wind_8"):
        (code / clone / "configs" / f"{name}.json").write_text(f'{{"patch_size": {8 if name.endswith("8") else 4}, "wind_size": 8}}')


def write_mvtracker(code: Path, clone: str) -> None:
    """The clone of MVTracker."""
    folder = code / clone / "mvtracker" / "models" / "core" / "mvtracker"
    folder.mkdir(parents=True)
    (folder / "mvtracker.py").write_text(_MVTRACKER)


def write_spatracker(code: Path, clone: str) -> None:
    """The clone of the first SpatialTracker."""
    folder = code / clone / "models" / "spatracker" / "models" / "core" / "spatracker"
    folder.mkdir(parents=True)
    (folder / "spatracker.py").write_text(_SPATRACKER)
    (code / clone / "cupy.py").write_text(_CUPY)


def write_spatracker_2(code: Path, clone: str) -> None:
    """The clone of SpatialTrackerV2."""
    folder = code / clone / "models" / "SpaTrackV2" / "models"
    folder.mkdir(parents=True)
    (folder / "predictor.py").write_text(_SPATRACKER_2)
