"""tracktail's server, played by a function: what it is sent, and what of its answers is believed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from email.parser import BytesParser
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import torch
from tiny_depths import tiny_clip, tiny_queries

from trackersplat.errors import InputError
from trackersplat.tracking.registry import create_tracker
from trackersplat.tracking.tracker import TrackerFailed
from trackersplat.tracking.tracker3d import Clip3D
from trackersplat.tracking.trackers import tracktail
from trackersplat.tracking.trackers.tracktail import Tracktail
from trackersplat.tracking.trackers.tracktail_settings import TracktailSettings

SETTINGS = TracktailSettings(server="http://tail.example:8000/")


@pytest.fixture(scope="module")
def clip() -> Clip3D:
    return tiny_clip()


def answer(**changes: np.ndarray) -> bytes:
    frames, points = 4, 3
    positions = np.arange(frames * points * 3, dtype=np.float32).reshape(1, frames, points, 3)
    arrays: dict[str, Any] = {
        "coords_pred": positions,
        "vis_pred": np.full((1, frames, points, 1), 2.0),
        "conf_pred": np.full((1, frames, points), -1.0),
    }
    file = io.BytesIO()
    np.savez(file, **{**arrays, **changes})
    return file.getvalue()


def made(predict: Callable[[httpx.Request], httpx.Response]) -> Tracktail:
    def serve(request: httpx.Request) -> httpx.Response:
        assert str(request.url).startswith("http://tail.example:8000/")
        if request.url.path == "/info":
            return httpx.Response(200, json={"model_source": "ai-hhmi/posetail", "model_revision": "2026-08-24", "n_frames": 24})
        assert (request.method, request.url.path) == ("POST", "/predict")
        return predict(request)

    return Tracktail(torch.device("cpu"), SETTINGS, httpx.Client(transport=httpx.MockTransport(serve)))


def parts(request: httpx.Request) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The metadata and the images of a request."""
    head = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
    message = BytesParser().parsebytes(head + request.read())
    about, images = {}, {}
    for part in message.get_payload():  # type: ignore[union-attr]
        data = part.get_payload(decode=True)  # type: ignore[union-attr]
        if part.get_filename() is None:  # type: ignore[union-attr]
            about = json.loads(data)  # type: ignore[arg-type]
        else:
            images[part.get_filename()] = data  # type: ignore[union-attr]
    return about, images  # type: ignore[return-value]


def test_the_server_gets_cameras_points_and_images_and_its_answer_is_read(clip: Clip3D) -> None:
    seen: list[httpx.Request] = []
    tracker = made(lambda request: (seen.append(request), httpx.Response(200, content=answer()))[1])
    motion = tracker.track_points(clip, tiny_queries())
    about, images = parts(seen[0])
    camera = clip.cameras[1]
    sent = about["cameras"][1]
    assert [entry["name"] for entry in about["cameras"]] == ["view0", "view1", "view2", "view3"]
    assert sent["mat"] == [[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]]  # centres at integers there
    assert sent["ext"] == camera.world_to_camera.tolist()
    assert about["query_times"] == [0, 1, 0]
    np.testing.assert_allclose(about["coords"], tiny_queries()[:, 1:].tolist())
    assert sorted(images) == [f"view{view}__{frame:06d}.jpg" for view in range(4) for frame in range(4)]  # an even number of frames
    picture = cv2.imdecode(np.frombuffer(images["view1__000002.jpg"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(picture.astype(int) - clip.images[1][2].numpy()).mean() < 8
    assert images["view1__000002.jpg"] == images["view1__000003.jpg"]
    assert motion.positions[2].tolist() == np.arange(18, 27).reshape(3, 3).tolist()
    assert motion.positions[0, 1].isnan().all()
    assert motion.visibility[2, 0].item() == pytest.approx(1 / (1 + np.exp(-2)))
    assert motion.confidence[2, 0].item() == pytest.approx(1 / (1 + np.exp(1)))
    assert tracker.provenance.version == "ai-hhmi/posetail 2026-08-24"


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (httpx.Response(400, json={"detail": "odd clip"}), r"refused \(400: .*odd clip"),
        (httpx.Response(200, content=b"<html>"), r"answered no tracks \((ValueError|UnpicklingError|BadZipFile)\)"),
        (httpx.Response(200, content=answer(coords_pred=np.array([{}], dtype=object))), r"answered no tracks \(ValueError\)"),
        (httpx.Response(200, content=answer(conf_pred=np.zeros((1, 4, 2)))), r"answered conf_pred of shape \(1, 4, 2\)"),
        (httpx.Response(200, content=answer(vis_pred=np.full((1, 4, 3, 1), np.nan))), "expected finite"),
    ],
)
def test_answers_that_are_no_tracks_are_failures_in_one_sentence(clip: Clip3D, response: httpx.Response, why: str) -> None:
    with pytest.raises(TrackerFailed, match=why):
        made(lambda request: response).track_points(clip, tiny_queries())


def test_an_answer_without_end_is_not_read_to_its_end(clip: Clip3D, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracktail, "MOST_BYTES", 1000)
    with pytest.raises(TrackerFailed, match="answered more than 1,000 bytes"):
        made(lambda request: httpx.Response(200, content=b"x" * 5000)).track_points(clip, tiny_queries())


def test_no_server_is_bad_input_before_anything_is_tracked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(InputError, match=r"tracktail's server http://tail.example:8000 cannot be asked .*connection refused"):
        Tracktail(torch.device("cpu"), SETTINGS, httpx.Client(transport=httpx.MockTransport(refuse)))
    monkeypatch.delenv("TRACKERSPLAT_TRACKTAIL", raising=False)
    with pytest.raises(InputError, match="the environment variable TRACKERSPLAT_TRACKTAIL does not name its server"):
        create_tracker("tracktail", "cpu")
    monkeypatch.setenv("TRACKERSPLAT_TRACKTAIL", "file:///etc/passwd")
    with pytest.raises(InputError, match="expected http://HOST:PORT"):
        create_tracker("tracktail", "cpu")
