"""All cameras at once, with the residual of the selected track in each; a click opens a camera in the active pane."""

from __future__ import annotations

import base64
from functools import partial

import cv2
import numpy as np
from nicegui import background_tasks, run, ui

from trackersplat.errors import InputError
from viewer.tab import Tab

THUMBNAIL = 200  # pixels wide
QUALITY = 75  # JPEG


class CameraGrid:
    """Photographs of the current frame, read on a thread; newest frame first."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._images: list[ui.element] = []
        self._texts: list[ui.label] = []
        self._wanted = -1
        self._busy = False

    def build(self) -> None:
        capture, view = self._tab.document.capture, self._tab.view
        self._images, self._texts, self._wanted = [], [], -1
        with ui.element("div").style("height:100%;overflow:auto;padding:6px"):
            with ui.element("div").style("display:grid;gap:6px;grid-template-columns:repeat(auto-fill,minmax(128px,1fr))"):
                for index, camera in enumerate(capture.cameras):
                    shown = index == view.pane().camera
                    border = "var(--accent)" if shown else "var(--line)"
                    with (
                        ui.element("button")
                        .style(
                            f"background:var(--surface);border:1px solid {border};padding:0;cursor:pointer;text-align:left;"
                            "color:var(--text)"
                        )
                        .props(f'type="button" aria-label="Camera {index + 1}"')
                        .on("click", partial(self._tab.do, "camera.show", camera=index))
                    ):
                        image = (
                            ui.element("img").style(f"display:block;width:100%;aspect-ratio:{camera.width}/{camera.height}").props('alt=""')
                        )
                        self._images.append(image)
                        with ui.element("div").style("padding:2px 6px;display:flex;justify-content:space-between;gap:6px"):
                            ui.label(camera.name).classes("ts-small ts-ellipsis")
                            self._texts.append(ui.label("").classes("ts-small ts-muted"))
                        ui.tooltip(f"Open {camera.name} in the active pane")
            ui.button("Back to the panes", on_click=lambda: self._tab.set(grid=False)).props("flat dense no-caps").tooltip("Key A")
        self.on_state(frozenset({"frame", "tracks"}))

    def on_state(self, changed: frozenset[str]) -> None:
        if "frame" in changed or self._wanted < 0:
            self._wanted = self._tab.view.frame
            if not self._busy:
                background_tasks.create(self._load())
        if changed & {"frame", "tracks", "diagnosed"}:
            for label, text in zip(self._texts, self._residuals(), strict=True):
                label.set_text(text)

    async def _load(self) -> None:
        self._busy = True
        try:
            done = -1
            while done != self._wanted and self._images:
                done = frame = self._wanted
                for index, image in enumerate(list(self._images)):
                    if self._wanted != frame:
                        break
                    url = await run.io_bound(self._thumbnail, index, frame)
                    if url is not None and not image.is_deleted:
                        image.props["src"] = url
                        image.update()
        finally:
            self._busy = False

    def _thumbnail(self, camera: int, frame: int) -> str | None:
        try:
            image = self._tab.document.capture.image(camera, frame)
        except InputError as error:
            self._tab.store.problem("thumbnails", str(error))
            return None
        height = max(round(image.shape[0] * THUMBNAIL / image.shape[1]), 1)
        small = cv2.resize(image, (THUMBNAIL, height), interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()

    def _residuals(self) -> list[str]:
        """Per camera what the selected track's 3D point is off there: its own reprojection residual, where it has one."""
        count = len(self._tab.document.capture.cameras)
        texts = [""] * count
        diagnosis, track, frame = self._tab.document.diagnosis(), self._tab.view.main_track(), self._tab.view.frame
        if diagnosis is None or track is None or frame not in diagnosis.frames:
            return texts
        rows = (diagnosis.ids == track).nonzero()[0]
        if not len(rows):
            return texts
        at = diagnosis.frames.index(frame)
        off = np.linalg.norm(diagnosis.position[at, rows[0]] - diagnosis.reprojected[at, rows[0]])
        camera = self._tab.document.capture.camera_index(diagnosis.cameras[int(diagnosis.camera[rows[0]])])
        texts[camera] = f"{off:.1f} px" if np.isfinite(off) else "no position"
        return texts
