"""Five frames of Gaussians in exact motion: a wall, and a ball in front of it that goes to the right, filmed by three cameras."""

from __future__ import annotations

import numpy as np
import torch
from tiny_capture import cameras

from trackersplat.gaussians.gaussians import SH_C0, Gaussians

FRAMES = 5
BALL, WALL = 60, 340
IN_THE_BALL = np.arange(BALL + WALL) % 7 == 0  # rows are mixed, so that order tells nothing
IN_THE_BALL[np.flatnonzero(IN_THE_BALL)[BALL:]] = False
IN_THE_BALL[1 : 1 + 2 * (BALL - IN_THE_BALL.sum()) : 2] = True
REPLACED = {3: (0, 5, 14)}  # frame 3: these rows hold others: of the ball before, and of the wall
CAMERAS = cameras()[:3]
RADIUS, CENTER, STEP = 0.35, (-0.5, 0.0, 0.3), (0.15, 0.02, 0.0)


def scene_frames() -> list[Gaussians]:
    """One of each frame; the ball is red, the wall grey and behind it."""
    random = torch.Generator().manual_seed(5)
    ball, count = torch.from_numpy(IN_THE_BALL), BALL + WALL
    means = torch.rand(count, 3, generator=random) * torch.tensor([3.0, 2.2, 0.05]) + torch.tensor([-1.5, -1.1, 1.2])
    on_ball = torch.nn.functional.normalize(torch.randn(BALL, 3, generator=random), dim=1)
    means[ball] = RADIUS * on_ball + torch.tensor(CENTER)
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=random), dim=1)
    log_scales = torch.log(0.08 + 0.04 * torch.rand(count, 3, generator=random))
    sh = 0.1 * torch.randn(count, 4, 3, generator=random)
    sh[:, 0] = (torch.where(ball[:, None], torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.4, 0.4, 0.4])) - 0.5) / SH_C0
    logits = torch.full((count,), 3.0)
    frames = []
    for frame in range(FRAMES):
        here = means.clone()
        here[ball] += frame * torch.tensor(STEP)
        if frame >= 3:
            here[list(REPLACED[3])] = torch.tensor([[1.2, 0.8, 1.1], [-1.2, 0.8, 1.1], [1.2, -0.8, 1.1]])
        frames.append(Gaussians(here, quats, log_scales, logits, sh))
    return frames
