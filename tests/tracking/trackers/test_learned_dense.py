"""Every learned tracker of all pixels, run on a stand-in with the published signature: a known translation, an exact answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stand_in_places import install_stand_in
from stand_in_trackers import STEP, write_alltracker, write_dot

from trackersplat.errors import InputError
from trackersplat.tracking.registry import create_tracker, tracker_settings
from trackersplat.tracking.tracker import Clip

WIDTH, HEIGHT = 80, 60
DOT = {"size": (64, 48), "tracks": 32, "tracks_at_once": 16}
CASES: tuple[tuple[str, Callable[[Path, str], None], tuple[int, int], dict[str, Any]], ...] = (
    *((f"dot-{front}", write_dot, (64, 48), DOT) for front in ("cotracker2", "cotracker3", "tapir", "bootstapir")),
    # AllTracker works at 128 px or more, at multiples of 8.
    *((name, write_alltracker, (176, 128), {}) for name in ("alltracker", "alltracker-tiny")),
)


def clip(count: int = 4) -> Clip:
    """Ramps: red is 3 per pixel to the right, green is 4 per pixel down."""
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    frame = np.stack((3 * columns, 4 * rows, np.zeros_like(rows)), -1).astype(np.uint8)
    return Clip(torch.from_numpy(np.stack([frame] * count)[None]), tuple(range(count)))


@pytest.mark.parametrize(("name", "write", "size", "other"), CASES, ids=[case[0] for case in CASES])
def test_a_known_translation_is_reported_for_every_pixel(
    places: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    write: Callable[[Path, str], None],
    size: tuple[int, int],
    other: dict[str, Any],
) -> None:
    install_stand_in(name, write, places, monkeypatch)
    tracker: Any = create_tracker(name, "cpu", replace(tracker_settings(name), **other))
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    motion = tracker.track_dense(clip())
    columns, rows = torch.meshgrid(torch.arange(WIDTH) + 0.5, torch.arange(HEIGHT) + 0.5, indexing="xy")
    frames = torch.arange(1.0, 4)[:, None, None, None]
    step = torch.tensor((STEP[0] * WIDTH / size[0], STEP[1] * HEIGHT / size[1]))
    assert motion.positions.shape == (1, 3, HEIGHT, WIDTH, 2)
    torch.testing.assert_close(motion.positions[0], torch.stack((columns, rows), -1) + frames * step, rtol=0, atol=2e-3)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]  # noqa: NPY002
    if name.startswith("alltracker"):
        expected = (0.9 - 0.05 * frames[..., 0]).expand(3, HEIGHT, WIDTH)
        torch.testing.assert_close(motion.visibility[0], expected)
        torch.testing.assert_close(motion.confidence[0], torch.full_like(expected, 0.5))
        inside = slice(8, -8)
        shown = (torch.arange(size[0]) + 0.5) * WIDTH / size[0] - 0.5
        torch.testing.assert_close(tracker.model.seen[64, inside, 0], 3 * shown[inside], rtol=0, atol=1e-3)
        shown = (torch.arange(size[1]) + 0.5) * HEIGHT / size[1] - 0.5
        torch.testing.assert_close(tracker.model.seen[inside, 80, 1], 4 * shown[inside], rtol=0, atol=1e-3)
    else:
        torch.testing.assert_close(motion.visibility[0], torch.ones(3, HEIGHT, WIDTH))


def test_the_points_of_dot_are_the_same_every_time(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_stand_in("dot-tapir", write_dot, places, monkeypatch)
    tracker: Any = create_tracker("dot-tapir", "cpu", replace(tracker_settings("dot-tapir"), **DOT))
    asked = []
    follow = tracker.model.points.forward
    tracker.model.points.forward = lambda video, queries, *rest: (asked.append(queries.clone()), follow(video, queries, *rest))[1]
    tracker.track_dense(clip(2))
    tracker.track_dense(clip(2))
    assert len(asked) == 4
    assert torch.equal(torch.stack(asked[:2]), torch.stack(asked[2:]))
    assert not torch.equal(asked[0], asked[1])


def test_weights_of_another_front_end_are_bad_input(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_stand_in("dot-tapir", write_dot, places, monkeypatch, prefix="another.")
    for name in ("cvo_raft_patch_8.pth", "movi_f_raft_patch_4_alpha.pth"):
        torch.save({"weight": torch.zeros(3)}, places / "weights" / name)
    with pytest.raises(InputError, match=r"panning_movi_e_tapir.pth holds weights of another model"):
        create_tracker("dot-tapir", "cpu", replace(tracker_settings("dot-tapir"), **DOT))
