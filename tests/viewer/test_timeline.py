"""The timeline in a real browser, driven with mouse and keys on a page that holds nothing else.

The page is this file, run as a program: NiceGUI keeps one application per process.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser import ARGUMENTS, find_browser
from waiting import wait_for

from trackersplat.events import FrameDone
from viewer.views.lanes import BLUE, Lane, Series, TrackValues, Work, delta_lane, lanes, track_values

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Page

browser_test = [pytest.mark.browser, pytest.mark.slow]

GUTTER, VALUES, PAD, NUMBERS, RULER = 176, 104, 9, 18, 34  # as in timeline.js
WIDTH, HEIGHT = 1280, 640
FPS = 30.0


# -- what is shown ------------------------------------------------------------------------------------------------------


def records(count: int, done: range, seed: int = 1) -> dict[int, FrameDone]:
    noise = np.random.default_rng(seed)
    found = {}
    for frame in done:
        psnr = 31.5 + 1.2 * math.sin(frame / count * 9) + 0.15 * float(noise.normal()) - 3.0 * math.exp(-(((frame - 0.42 * count) / (0.02 * count)) ** 2))
        scores = {"psnr": psnr, "unmoved_psnr": psnr - 4.0 - 1.5 * math.sin(frame / 11)}
        seconds = 195.0 if frame == 0 else 6.0 + float(noise.random())
        gaussians = 29700 + int(300 * frame / count + 20 * noise.normal())
        found[frame] = FrameDone(frame, frame - 1 if frame else None, scores, {}, gaussians, 0.9, 0.7, {"track": seconds})
    return found


@dataclass(frozen=True)
class Facts:
    """A diagnosis of tracks that end one by one; few are left in a stretch."""

    frames: tuple[int, ...]
    camera: np.ndarray
    query: np.ndarray
    position: np.ndarray
    evidence: dict[str, np.ndarray]

    @staticmethod
    def make(count: int, tracks: int = 88) -> Facts:
        noise = np.random.default_rng(2)
        frames = np.arange(count)
        camera = np.arange(tracks) % 11
        lifetime = noise.integers(count // 3, 2 * count, tracks)
        seen = (frames[:, None] < lifetime) & ~((np.abs(frames[:, None] / count - 0.42) < 0.03) & (np.arange(tracks) % 3 > 0))
        error = np.abs(noise.normal(0.6, 0.2, (count, tracks))) + 4 * np.exp(-(((frames / count - 0.42) / 0.03) ** 2))[:, None]
        error = np.where(seen, error, np.nan).astype(np.float32)
        return Facts(tuple(range(count)), camera, np.zeros((tracks, 3)), np.where(seen[..., None], 1.0, np.nan).repeat(2, 2), {"reprojection": error})


def example(count: int) -> tuple[Lane, ...]:
    """A run that is two thirds done, one stretch of it stale, one frame failed."""
    done = range(2 * count // 3)
    found = records(count, done)
    training = {frame: record.scores["psnr"] + 2.0 for frame, record in found.items()}
    stale = range(count // 4, count // 4 + count // 12)
    work = Work(done, 2 * count // 3, (count // 2, count // 2 + 1), stale)
    tracks: TrackValues = track_values(Facts.make(count))
    made = lanes(count, found, training, work, tracks, (3, 7))
    return (*made, delta_lane(count, found, records(count, range(count // 2), seed=3)))


def serve(count: int) -> None:
    """Prints its port, then serves the timeline over the whole width, ``/events``, and ``/call`` for its methods."""
    import socket

    import uvicorn
    from fastapi import FastAPI
    from nicegui import ui

    from viewer.components.timeline import Timeline

    events: list[Any] = []
    timelines: list[Timeline] = []
    api = FastAPI()
    shown = example(count)
    following = [True]  # the page's frame follows what the user asks for, as the real page does

    @api.get("/events")
    def take() -> list[Any]:
        taken = events[:]
        events.clear()
        return taken

    @api.post("/call")
    async def call(request: dict[str, Any]) -> None:
        method, arguments = request["method"], request["arguments"]
        if method == "follow":
            following[0] = arguments[0]
        elif method == "lanes":  # which of the example are shown, and the first PSNR
            kept = [lane for lane in shown if lane.key in arguments[0]]
            if arguments[1] is not None:
                row = kept[0].series[0]
                kept[0] = replace(kept[0], series=(replace(row, values=(arguments[1], *row.values[1:])), *kept[0].series[1:]))
            timelines[-1].set_lanes(kept)
        else:
            getattr(timelines[-1], method)(*arguments)

    @ui.page("/")
    def page(height: int = 200) -> None:
        ui.add_css(
            ":root{--bg:#14171c;--surface:#1b1f26;--raised:#232932;--line:#323a46;--text:#e6e9ee;--muted:#9aa4b2;--accent:#5aa9f0;"
            "--good:#56b4a0;--warn:#e0a458;--bad:#e0716c} body{background:#14171c;overflow:hidden}"
        )
        ui.query(".nicegui-content").style("position:fixed;inset:0;padding:0;display:block")

        def on_seek(seek: Any) -> None:
            events.append(["seek", asdict(seek)])
            if following[0]:
                timeline.set_frame(seek.frame, seek.frame)

        with ui.element("div").style(f"position:absolute;left:0;right:0;bottom:0;height:{height}px"):
            timeline = Timeline(
                count,
                FPS,
                on_seek=on_seek,
                on_range=lambda span: events.append(["range", span]),
                on_run_range=lambda span: events.append(["run_range", span]),
                on_menu=lambda menu: events.append(["menu", asdict(menu)]),
            )
        timeline.set_lanes(shown)
        timeline.set_frame(count // 3, count // 3)
        timelines.append(timeline)

    ui.run_with(api, dark=True, storage_secret=None)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(api, log_level="warning")).run([listener])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("frames", type=int)
    serve(parser.parse_args().frames)
