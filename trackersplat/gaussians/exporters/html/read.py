"""Reads frames back from a page that `html.export` wrote, as the player does."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import torch

from trackersplat.files import read_text
from trackersplat.gaussians.exporters.html.export import LARGEST, LEVELS
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.quantised import Codes, Range, unpack


def read_html(path: Path, place: int) -> Gaussians:
    """The frame at a place (from 0) in the order of the export."""
    text = read_text(path, 2 * LARGEST)
    scene = json.loads(_between(text, '<script type="application/json" id="scene">', 0))
    ranges = {
        name: Range(np.array(scene["ranges"][name]["low"]), np.array(scene["ranges"][name]["high"]), levels)
        for name, levels in LEVELS.items()
    }
    every, codes = scene["key_frame_every"], Codes()
    for frame in range(place - place % every, place + 1):
        data, begin = base64.b64decode(_between(text, f'<script type="text/plain" id="frame{frame}">', 0)), 0
        for name, size in zip(LEVELS, scene["frames"][frame]["bytes"], strict=True):
            change = unpack(data[begin : begin + size], scene["gaussians"], ranges[name])
            codes[name] = change if frame % every == 0 else codes[name] + change
            begin += size
    values = {name: torch.from_numpy(kind.decode(codes[name])) for name, kind in ranges.items()}
    return Gaussians(
        means=values["means"],
        quats=values["quats"],
        log_scales=values["log_scales"],
        opacity_logits=values["opacity_logits"][:, 0].contiguous(),
        sh=values["sh_dc"][:, None],
    )


def _between(text: str, tag: str, start: int) -> str:
    found = re.compile(re.escape(tag) + r"([^<]*)</script>").search(text, start)
    if found is None:
        raise ValueError(f"the page lacks {tag}")
    return found[1]
