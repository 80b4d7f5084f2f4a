from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.tracking.registry import (
    MATCHERS,
    TRACKERS,
    create_matcher,
    create_tracker,
    default_matcher,
    default_tracker,
    matcher_settings,
    tracker_settings,
)
from trackersplat.tracking.settings import NoSettings
from trackersplat.tracking.sources import track_source
from trackersplat.tracking.tracker import MatcherFacts, TrackerFacts
from trackersplat.tracking.views import match_views, track_views

# A tracker as somebody may add it: one file, and the line in the test.
MODULE = '''
from dataclasses import dataclass

import torch

from trackersplat.tracking.registry import MATCHERS, TRACKERS
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.tracks import Provenance


@dataclass(frozen=True)
class ShiftSettings:
    x: float = 3.0
    y: float = -2.0


def moved(frames, height, width, settings):
    """(F, H, W, 2): by the shift, once per frame."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.stack((x + 0.5 + t * settings.x, y + 0.5 + t * settings.y), -1) for t in frames])


class ShiftTracker:
    facts = TRACKERS.facts("shift")

    def __init__(self, device, settings):
        self.device, self.settings = device, settings
        self.provenance = Provenance("shift", version="3", weights="ab12", licence="MIT", size=(32, 24))

    def track_dense(self, clip):
        views, _, height, width = clip.images.shape[:4]
        base, *targets = clip.frames
        positions = moved([target - base for target in targets], height, width, self.settings)
        ones = torch.ones(views, *positions.shape[:3])
        return PointMotion(positions.expand(views, -1, -1, -1, -1), 0.5 * ones, 0.25 * ones)


class ShiftMatcher:
    facts = MATCHERS.facts("shift")

    def __init__(self, device, settings):
        self.device, self.settings, self.provenance = device, settings, Provenance("shift")

    def match(self, source, target, *, search=None, reach=0.0):
        assert source.shape == target.shape and source.dtype == target.dtype == torch.uint8
        ones = torch.ones(1, 1, *source.shape[:2])
        return PointMotion(moved([1], *source.shape[:2], self.settings)[None], ones, ones)
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with a tracker and a matcher named "shift", registered for one test."""
    (tmp_path / "shift_package.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    for registry in (TRACKERS, MATCHERS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    settings = "shift_package:ShiftSettings"
    TRACKERS.add(TrackerFacts("shift", "A known shift", "shift_package:ShiftTracker", settings=settings, hidden_weight=0.7))
    MATCHERS.add(MatcherFacts("shift", "A known shift", "shift_package:ShiftMatcher", settings=settings))
    yield "shift"
    sys.modules.pop("shift_package", None)


def test_a_tracker_is_added_with_one_file_and_one_line(added: str, small_capture: Capture) -> None:
    assert "shift_package" not in sys.modules  # facts import nothing
    found = dict(track_views(create_tracker(added, "cpu"), small_capture, [2, 1], 1, [2, 4]))
    assert sorted(found) == [1, 2]
    for tracks in found.values():
        assert (tracks.base, tracks.targets, tracks.hidden_weight) == (1, (2, 4), 0.7)
        assert (tracks.provenance.tracker, tracks.provenance.weights, tracks.provenance.size) == ("shift", "ab12", (32, 24))
        assert tracks.positions[0, 10, 20].tolist() == [20.5 + 3, 10.5 - 2]
        assert tracks.positions[1, 10, 20].tolist() == [20.5 + 9, 10.5 - 6]
        assert tracks.visibility.unique().tolist() == [0.5]
        assert tracks.confidence.unique().tolist() == [0.25]


def test_the_settings_of_an_added_tracker_reach_it_through_its_source(added: str, small_capture: Capture) -> None:
    defaults = tracker_settings(added)
    assert asdict(defaults) == {"x": 3.0, "y": -2.0}
    source = track_source(added, small_capture, "cpu", type(defaults)(x=-1.0, y=5.0))
    ((_, tracks),) = source([0], 0, [1])
    assert tracks.positions[0, 0, 0].tolist() == [-0.5, 5.5]


def test_a_matcher_is_added_with_one_file_and_one_line(added: str, small_capture: Capture) -> None:
    ((camera, tracks),) = match_views(create_matcher(added, "cpu", matcher_settings(added)), small_capture, [3], 0, 5)
    assert (camera, tracks.base, tracks.targets, tracks.provenance.size) == (3, 0, (5,), (64, 48))
    assert tracks.positions[0, 1, 2].tolist() == [2.5 + 3, 1.5 - 2]


def test_every_tracker_and_matcher_that_is_ready_can_be_created_and_states_its_facts() -> None:
    for facts in TRACKERS:
        if not facts.stored and TRACKERS.why_unavailable(facts.name) is None:
            assert create_tracker(facts.name, "cpu").facts == facts
    for matcher in MATCHERS:
        assert create_matcher(matcher.name, "cpu").facts == matcher
    for device in ("cpu", "cuda"):
        assert device in TRACKERS.facts(default_tracker(device)).devices
        assert device in MATCHERS.facts(default_matcher(device)).devices
    assert (default_tracker("cpu"), default_tracker("cuda")) == ("dis", "dis-gpu")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no tracker named 'dsi'; choose one of dis, dis-gpu, exact"):
        create_tracker("dsi", "cpu")
    with pytest.raises(InputError, match=r"no matcher named 'dsi'; choose one of dis"):
        create_matcher("dsi", "cpu")
    with pytest.raises(InputError, match="stored with a capture"):
        create_tracker("exact", "cpu")


def test_a_tracker_of_the_cpu_stays_there_and_one_of_the_gpu_needs_it(added: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert create_tracker("dis", "cuda").device == torch.device("cpu")
    TRACKERS.add(TrackerFacts("large", "On a GPU only", "shift_package:ShiftTracker", devices=("cuda",)))
    assert create_tracker("large", "cuda:0").device == torch.device("cuda:0")
    with pytest.raises(InputError, match="The tracker large needs a GPU, and this runs on the CPU: choose another tracker"):
        create_tracker("large", "cpu")
    assert tracker_settings("large") == NoSettings()


def test_a_missing_package_is_named(added: str) -> None:
    TRACKERS.add(TrackerFacts("learned", "Needs much", "nowhere:Learned", packages=("no_such_package",), extra="learned"))
    with pytest.raises(InputError, match=r"no_such_package not installed: pip install '\.\[learned\]'"):
        create_tracker("learned", "cpu")


def plain(value: Any) -> bool:
    """Whether a setting is a number, a text, or a frozen dataclass of such."""
    if is_dataclass(value):
        return value.__dataclass_params__.frozen and all(plain(getattr(value, field.name)) for field in fields(value))  # type: ignore[attr-defined]
    return isinstance(value, (bool, int, float, str)) or (isinstance(value, tuple) and all(map(plain, value)))


@pytest.mark.parametrize(
    "settings", [tracker_settings("dis"), matcher_settings("dis"), tracker_settings("exact"), tracker_settings("dis-gpu")]
)
def test_settings_are_plain_and_survive_json(settings: Any) -> None:
    assert plain(settings)
    text = json.dumps(asdict(settings))
    assert json.dumps(json.loads(text)) == text


def test_listing_trackers_imports_neither_an_image_library_nor_pytorch() -> None:
    code = (
        "import sys; from trackersplat.tracking.registry import TRACKERS, tracker_settings; TRACKERS.names(); tracker_settings('dis');"
        "print({'cv2', 'torch', 'numba', 'numpy'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
