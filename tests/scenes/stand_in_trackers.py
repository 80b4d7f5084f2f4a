"""Stand-ins for the code of learned trackers: the published signatures, which check what they are given and answer a known translation.

Each samples the base frame at the queries, by its own convention of pixels and values, and keeps that as ``seen``: on a ramp image this
tells range, axis order and pixel convention at once. Positions move by `STEP` pixels of the working image per frame.
"""

from __future__ import annotations

from pathlib import Path

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
    state: dict[str, object] = {f"{prefix}weight": torch.arange(3.0)}
    for name in reversed(inside):
        state = {name: state}
    torch.save(state, path)
