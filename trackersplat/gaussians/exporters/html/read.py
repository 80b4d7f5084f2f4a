"""Reads frames back from a page that `html.export` wrote, as the player does."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import torch

from trackersplat.files import read_text
from trackersplat.gaussians.exporters.exporter import UNKNOWN, About
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.quantised import Codes, Range, unpack

# Levels of each attribute; the player reads positions in 16 bits and all else in 8.
LEVELS = {"means": 65535, "quats": 255, "log_scales": 255, "opacity_logits": 255, "sh_dc": 255}
LARGEST = 1 << 30  # bytes of the frames; browsers do not open larger pages


def read_html(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    """See `exporters.exporter.ReadBack`."""
    text = read_text(path, 2 * LARGEST)
    scene = json.loads(_between(text, '<script type="application/json" id="scene">'))
    ranges = {
        name: Range(np.array(scene["ranges"][name]["low"]), np.array(scene["ranges"][name]["high"]), levels)
        for name, levels in LEVELS.items()
    }
    every, codes = scene["key_frame_every"], Codes()
    for earlier in range(place - place % every, place + 1):
        data, begin = base64.b64decode(_between(text, f'<script type="text/plain" id="frame{earlier}">')), 0
        for name, size in zip(LEVELS, scene["frames"][earlier]["bytes"], strict=True):
            change = unpack(data[begin : begin + size], scene["gaussians"], ranges[name])
            codes[name] = change if earlier % every == 0 else codes[name] + change
            begin += size
    values = {name: torch.from_numpy(kind.decode(codes[name])) for name, kind in ranges.items()}
    return Gaussians(
        means=values["means"],
        quats=values["quats"],
        log_scales=values["log_scales"],
        opacity_logits=values["opacity_logits"][:, 0].contiguous(),
        sh=values["sh_dc"][:, None],
    )


def _between(text: str, tag: str) -> str:
    found = re.compile(re.escape(tag) + r"([^<]*)</script>").search(text)
    if found is None:
        raise ValueError(f"the page lacks {tag}")
    return found[1]
