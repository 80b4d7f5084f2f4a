"""tracktail: points of the scene in all views, without depth, by its HTTP server. Poses are world to camera; pixels as OpenCV has them.

What is sent are the images, the cameras and the points; what is read is bounded and never unpickled.
"""

from __future__ import annotations

import io
import json
import os
from typing import Any

import cv2
import httpx
import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import InputError
from trackersplat.files import NPZ_DAMAGE
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.tracker import TrackerFailed
from trackersplat.tracking.tracker3d import Clip3D, PointMotion3D, check_queries
from trackersplat.tracking.tracks import Provenance

MOST_BYTES = 1 << 30  # limit of an answer that is read
SERVER_VARIABLE = "TRACKERSPLAT_TRACKTAIL"


class Tracktail:
    """A `Tracker3D` that asks a server."""

    facts = TRACKERS.facts("tracktail")

    def __init__(self, device: torch.device, settings: Any, client: httpx.Client | None = None) -> None:
        """Asks the server what it is. Raises InputError if there is none at the address."""
        self.device = device
        self.settings = settings
        self.server = (settings.server or os.environ.get(SERVER_VARIABLE, "")).rstrip("/")
        if not self.server.startswith(("http://", "https://")):
            raise InputError(f"The address {self.server!r} of tracktail's server is none: expected http://HOST:PORT in ${SERVER_VARIABLE}.")
        self.client = client or httpx.Client(timeout=settings.timeout_seconds, follow_redirects=False)
        try:
            info = json.loads(self._ask("GET", "/info", {}))
        except ValueError as error:
            raise InputError(f"{self.server} does not answer as tracktail does: check the address.") from error
        version = " ".join(str(info.get(key, "")) for key in ("model_source", "model_revision")) if isinstance(info, dict) else ""
        self.provenance = Provenance(self.facts.name, version=version.strip()[:200], licence=f"code {self.facts.licence}")

    def track_points(self, clip: Clip3D, queries: Tensor) -> PointMotion3D:
        """See `tracker3d.Tracker3D`. It needs an even number of frames; the last is sent twice where it is odd."""
        check_queries(queries, clip)
        count = len(clip.frames)
        about = {
            "cameras": [
                # Pixel centres are at integers there.
                {
                    "name": f"view{index}", "type": "pinhole", "mat": (camera.K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]).tolist(),
                    "dist": [0.0] * 5, "ext": camera.world_to_camera.tolist(), "offset": [0, 0],
                }
                for index, camera in enumerate(clip.cameras)
            ],
            "coords": queries[:, 1:].tolist(),
            "query_times": queries[:, 0].round().long().tolist(),
        }  # fmt: skip
        files = [
            ("images", (f"view{view}__{at:06d}.jpg", self._jpeg(images[min(at, count - 1)]), "image/jpeg"))
            for view, images in enumerate(clip.images)
            for at in range(count + count % 2)
        ]
        answer = self._ask("POST", "/predict", {"data": {"metadata": json.dumps(about)}, "files": files})
        arrays = self._arrays(answer, count + count % 2, len(queries))
        positions, visibility, confidence = (torch.from_numpy(values[:count]).to(clip.device) for values in arrays)
        return PointMotion3D.after_query(positions, visibility.sigmoid(), confidence.sigmoid(), queries)

    def _jpeg(self, image: Tensor) -> bytes:
        done, data = cv2.imencode(".jpg", image.cpu().numpy()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.settings.jpeg_quality])
        assert done, "an image that was decoded can be encoded"
        return data.tobytes()

    def _arrays(self, data: bytes, count: int, points: int) -> list[np.ndarray]:
        """Positions (T, P, 3), logits of visibility and of confidence (T, P)."""
        shapes = {"coords_pred": (1, count, points, 3), "vis_pred": (1, count, points, 1), "conf_pred": (1, count, points)}
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                found = {name: np.asarray(file[name], np.float32) for name in shapes}
        except NPZ_DAMAGE as error:
            raise TrackerFailed(f"{self.server} answered no tracks ({type(error).__name__}): look at the output of the server.") from error
        for name, shape in shapes.items():
            if found[name].shape != shape or not np.isfinite(found[name]).all():
                raise TrackerFailed(f"{self.server} answered {name} of shape {found[name].shape}, expected finite {shape}.")
        return [found["coords_pred"][0], found["vis_pred"][0, ..., 0], found["conf_pred"][0]]

    def _ask(self, method: str, path: str, content: dict[str, Any]) -> bytes:
        """The body of the answer, at most MOST_BYTES."""
        data = bytearray()
        try:
            with self.client.stream(method, self.server + path, **content) as response:
                for part in response.iter_bytes():
                    data += part
                    if len(data) > MOST_BYTES:
                        raise TrackerFailed(f"{self.server} answered more than {MOST_BYTES:,} bytes: ask for fewer points or frames.")
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = f"{type(error).__name__}: {error}"[:160]
            raise TrackerFailed(f"tracktail's server {self.server} cannot be asked ({why}): start it, or check its address.") from error
        if status != 200:
            why = bytes(data[:300]).decode("utf-8", "replace")
            raise TrackerFailed(f"tracktail's server {self.server} refused ({status}: {why}): look at the output of the server.")
        return bytes(data)
