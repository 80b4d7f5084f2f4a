"""The trackers of the package track-4dgs, on a stand-in of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from stand_in_places import install_stand_in

from trackersplat.commands.trackers import describe
from trackersplat.errors import InputError
from trackersplat.tracking.registry import TRACKERS, create_tracker
from trackersplat.tracking.tracker import Clip
from trackersplat.tracking.trackers.track_4dgs_settings import Track4DGSSettings

PACKAGE = """
import torch
from types import SimpleNamespace

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))

class Tracker:
    def __init__(self, name, checkpoint=None):
        self.name, self.checkpoint, self.device, self.model = name, checkpoint, None, Network()
        if checkpoint is not None:
            self.model.load_state_dict(torch.load(checkpoint, weights_only=True), strict=False)  # as some of the published ones do

    def to(self, device):
        self.device = device
        return self

    def track_view(self, points, frame_indices, frames, frame_masks, batch_size=None):
        assert points.dtype == torch.float32 and frame_indices.dtype == torch.int64 and not frame_indices.any()
        assert all(frame.shape == (3, 12, 16) for frame in frames) and frame_masks == [None] * len(frames)
        most = max(frame.max().item() for frame in frames)
        assert most == (255 if self.name == "cotracker3" else 1), "the range of the images"
        # The value at a query, with pixel centres at integers: red is 8 per pixel to the right, green is 16 per pixel down.
        red, green = (frames[0][:2] * (1 if self.name == "cotracker3" else 255)).round()
        x, y = points.round().long().unbind(-1)
        assert red[y, x].tolist() == (8 * points[:, 0]).tolist() and green[y, x].tolist() == (16 * points[:, 1]).tolist()
        there = points[None] + torch.arange(len(frames))[:, None, None] * torch.tensor((3.0, -2.0))
        mask = torch.ones(there.shape[:2], dtype=torch.bool)
        mask[-1, 0] = False
        return SimpleNamespace(points=there, visibility=torch.full(mask.shape, 0.75), confidence=torch.full(mask.shape, 0.5), mask=mask)

def build_point_tracker(name, **configs):
    return Tracker(name, **configs)
"""
NAMES = [name for name in TRACKERS.names() if name.startswith("track-4dgs-")]


@pytest.fixture
def package(places: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (places / "track_4dgs.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(places)
    yield places
    sys.modules.pop("track_4dgs", None)


@pytest.mark.parametrize("name", NAMES)
def test_a_known_translation_is_reported_exactly(package: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    install_stand_in(name, lambda code, clone: None, package, monkeypatch)
    facts = TRACKERS.facts(name)
    tracker: Any = create_tracker(name, "cpu")
    columns, rows = torch.meshgrid(torch.arange(16), torch.arange(12), indexing="xy")
    image = torch.stack((8 * columns, 16 * rows, torch.full_like(rows, 255)), -1).to(torch.uint8)
    queries = torch.tensor([[4.5, 7.5], [12.5, 2.5]])
    (motion,) = tracker.track_queries(Clip(image.expand(1, 3, -1, -1, -1).contiguous(), (0, 1, 2)), [queries])
    torch.testing.assert_close(motion.positions[0, 1], queries + torch.tensor((6.0, -4.0)))
    assert motion.visibility[0].tolist() == [[0.75, 0.75], [0.0, 0.75]]
    assert motion.confidence[0].tolist() == [[0.5, 0.5], [0.0, 0.5]]
    theirs = tracker.model.tracker
    assert (theirs.name, theirs.device) == (name.removeprefix("track-4dgs-"), torch.device("cpu"))
    file = facts.weights[0]
    assert theirs.checkpoint == (None if file.hub else str(package / "weights" / file.file))


def test_weights_of_another_model_are_refused_where_the_package_takes_any(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_stand_in("track-4dgs-d4rt", lambda code, clone: None, package, monkeypatch)
    path = package / "weights" / TRACKERS.facts("track-4dgs-d4rt").weights[0].file
    torch.save({"state_dict": {"other": torch.zeros(3)}}, path)
    with pytest.raises(InputError, match=r"opend4rt.ckpt holds weights of another model"):
        create_tracker("track-4dgs-d4rt", "cpu")
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"opend4rt.ckpt is not a file of weights"):
        create_tracker("track-4dgs-d4rt", "cpu")


def test_weights_of_hugging_face_are_looked_for_in_its_cache(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "track-4dgs-uniflowmatch"
    install_stand_in(name, lambda code, clone: None, package, monkeypatch)
    (snapshot,) = (package / "hub").glob("models--infinity1096--UFM-Base/snapshots/*")
    assert (file := TRACKERS.facts(name).weights[0]).path() == snapshot / "model.safetensors"
    with pytest.raises(InputError, match="reads infinity1096/UFM-Base from Hugging Face's cache: name no weights"):
        create_tracker(name, "cpu", Track4DGSSettings(weights=str(snapshot)))
    (snapshot / "model.safetensors").unlink()
    assert file.missing() == f"the weights infinity1096/UFM-Base are not in {package / 'hub'}"
    assert file.commands() == ("python -c \"from huggingface_hub import snapshot_download; snapshot_download('infinity1096/UFM-Base')\"",)


def test_what_the_package_imports_at_once_is_asked_for(places: Path) -> None:
    row = describe(TRACKERS.facts("track-4dgs-d4rt"))
    assert row.state == "package missing"
    assert row.commands[0] == "pip install track-4dgs==1.4.12"
    for needed in (
        "gaussian-splatting",
        "git+https://github.com/facebookresearch/vggt",
        "git+https://github.com/facebookresearch/co-tracker@82",
    ):
        assert f" {needed}" in row.commands[1]
    assert [command.rpartition("/")[2] for command in row.commands[2:]] == ["opend4rt.ckpt", "model.yaml"]


def test_the_names_are_those_of_its_registry() -> None:
    assert [name.removeprefix("track-4dgs-") for name in NAMES] == [
        "cotracker3", "vggt", "vggsfm", "d4rt", "matcha", "mvroma", "uniflowmatch",
    ]  # fmt: skip
