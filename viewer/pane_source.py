"""What the camera panes of one tab show, taken from the store and the document; `viewer.pictures` sends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.tab import Tab
from viewer.views.compare import Against
from viewer.views.overlays import Overlay, nothing, pane_overlay
from viewer.views.request import PanePicture, PaneRequest, Sources

if TYPE_CHECKING:
    import numpy as np
    import torch

    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.tracking.tracks import Tracks
    from trackersplat.training.photometric import ColourAffines
    from viewer.editing import SceneFrame

PREFETCHED = 4  # photographs decoded ahead while playing

# Fields that can change a picture or its marks; everything else must not cause a new request.
FIELDS = frozenset(
    {
        "frame", "dragging", "panes", "grid", "trail_length", "tracks",
        "run", "other", "reconstructed", "draft", "revision", "ready", "activity", "diagnosed", "edits", "scene",
        "selected",
    }
)  # fmt: skip


class TabPanes:
    """A `viewer.pictures.PaneSource` of a tab."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab

    def request(self, pane: int) -> PaneRequest | None:
        try:
            view, shared = self._tab.view, self._tab.shared
        except KeyError:  # the tab has just been closed
            return None
        if not 0 <= pane < len(view.panes):
            return None
        asked = view.panes[pane]
        against: Against = "run" if asked.against_run and shared.other is not None else "photo"
        draft = shared.draft.serial if shared.draft is not None and shared.draft.frame == view.frame else 0
        waits = shared.activity if not shared.ready else ""
        picture = hash((shared.revision, draft, shared.run, shared.other, shared.ready, waits, shared.scene))
        marks = hash((shared.revision, shared.diagnosed, asked.overlay, view.trail_length, shared.run))
        return PaneRequest(
            camera=asked.camera,
            frame=view.frame,
            compare=asked.compare,
            channel=asked.channel,
            against=against,
            wipe=asked.wipe,
            revision=picture,
            overlay=marks,
            selected=0 if view.selected is None else hash(view.selected),
        )

    def dragged(self) -> bool:
        try:
            return self._tab.view.dragging
        except KeyError:
            return False

    def sources(self, request: PaneRequest) -> Sources:
        document, shared = self._tab.document, self._tab.shared
        capture, frames = document.capture, document.frames
        camera = capture.cameras[request.camera]
        held_out = camera.name in capture.held_out
        if self._playing() and request.compare != "render":
            last = shared.frame_count - 1
            capture.prefetch(
                [request.camera], [frame for frame in range(request.frame + 1, request.frame + 1 + PREFETCHED) if frame <= last]
            )
        source = shared.source_of(request.frame)
        draft = shared.draft is not None and shared.draft.frame == source
        shown = document.scene(request.frame) if shared.ready and request.compare != "photo" else None
        gaussians = None if shown is None else document.shown(request.frame)  # as the run has them: values per Gaussian are of these
        finished = gaussians is not None and source is not None and shared.run is not None and not draft
        missing: dict[str, str] = {}
        motion = static = age = error = None
        if finished and gaussians is not None and request.channel in ("motion", "static", "age", "error"):
            assert source is not None
            assert shared.run is not None
            try:
                if request.channel == "motion":
                    motion = self._motion(shared.run, source, gaussians)
                elif request.channel == "static":
                    moved = self._motion(shared.run, source, gaussians)
                    static = (moved == 0).all(dim=1)
                elif request.channel == "age":
                    age = self._age(shared.run, source, len(gaussians))
                else:
                    error = document.gaussian_error(source)
            except InputError as why:
                missing[request.channel] = str(why)
        colours = (
            frames.colours(shared.run, source) if finished and not held_out and shared.run is not None and source is not None else None
        )
        if shown is not None and shown.rows is not None:
            motion, static, age, error = (_of_rows(values, shown.rows) for values in (motion, static, age, error))
        other, other_colours = self._other(request)
        selected = None if shown is None else self._selected(shown)
        return Sources(
            camera=camera,
            held_out=held_out,
            photo=lambda: capture.image(request.camera, request.frame),
            filmed=capture.filmed,
            rasterizer=document.renderer.rasterizer if shared.ready else None,
            waiting=shared.activity,
            gaussians=None if shown is None else shown.gaussians,
            source_frame=source,
            draft=draft,
            edited=shown is not None and shown.edited,
            selected=selected,
            colours=colours,
            motion=motion,
            static=static,
            age=age,
            error=error,
            missing=missing,  # type: ignore[arg-type]
            name=shared.run.name if shared.run is not None else "this run",
            other=other,
            other_name=shared.other.name if shared.other is not None else "the other run",
            other_colours=other_colours,
        )

    def overlay(self, request: PaneRequest) -> Overlay | None:
        view, shared, document = self._tab.view, self._tab.shared, self._tab.document
        if not any(pane.camera == request.camera and pane.overlay for pane in view.panes) or shared.run is None:
            return None
        name = document.capture.cameras[request.camera].name
        known, run = shared.reconstructed, shared.run
        history: list[Tracks] = []
        following = None
        if request.frame in known:
            last = known.index(request.frame)
            for frame in reversed(known[max(last - view.trail_length, 0) : last + 1]):
                tracks = document.frames.tracks(run, frame).get(name)
                if tracks is None:
                    break
                history.append(tracks)
            if last + 1 < len(known):
                following = document.frames.tracks(run, known[last + 1]).get(name)
        if not (document.capture.filmed or history or document.diagnosis() is not None):
            return nothing(request.frame, "The frames were imported: they have no tracks.")
        rows = document.tracks()
        made = pane_overlay(
            name,
            request.frame,
            held_out=name in document.capture.held_out,
            reconstructed=known,
            diagnosis=document.diagnosis(),
            history=history,
            following=following,
            trail_length=view.trail_length,
        )
        return made if rows is None else replace(made, number=rows.number_of(name))

    def acknowledged(self, pane: int, request: PaneRequest, picture: PanePicture) -> None:
        try:
            if pane == self._tab.view.active:
                self._tab.set(shown=request.frame)
        except KeyError:  # the tab has just been closed
            return

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        def changed(tab: str | None, names: frozenset[str]) -> None:
            if tab in (None, self._tab.id) and names & FIELDS:
                wake()

        self._tab.store.subscribe(changed)
        return lambda: self._tab.store.unsubscribe(changed)

    def _selected(self, shown: SceneFrame) -> Gaussians | None:
        try:
            return self._tab.document.editing.highlight(shown, self._tab.view.selected)
        except KeyError:  # the tab has just been closed
            return None

    # -- values per Gaussian ------------------------------------------------------------------------------------------

    def _playing(self) -> bool:
        try:
            return self._tab.view.playing
        except KeyError:
            return False

    def _motion(self, run: Path, frame: int, gaussians: Gaussians) -> torch.Tensor:
        """(N, 3) since the frame before, in scene units. Raises InputError where there is none."""
        document, known = self._tab.document, self._tab.shared.reconstructed
        before = known[known.index(frame) - 1] if known.index(frame) > 0 else None
        if before is None:
            raise InputError(f"Frame {frame + 1} is the first one of the run: nothing has moved to it.")
        lineage = document.runs.lineage(run)
        if lineage.origin(before) != lineage.origin(frame):
            raise InputError(f"Frame {frame + 1} was fitted anew: its Gaussians are not those of frame {before + 1}.")
        earlier = document.frames.frame(run, before)
        if len(earlier) != len(gaussians):
            raise InputError(f"Frames {before + 1} and {frame + 1} have different numbers of Gaussians: their motion is not known.")
        return gaussians.means - earlier.means

    def _age(self, run: Path, frame: int, count: int) -> torch.Tensor:
        """(N,) frames since each Gaussian was made. Raises InputError where that is not known."""
        import torch

        lineage = self._tab.document.runs.lineage(run)
        origin, since = lineage.origin(frame), lineage.since(frame)
        if origin is None or since is None or len(since) != count:
            raise InputError(f"The run does not tell when the Gaussians of frame {frame + 1} were made.")
        born = torch.as_tensor(since).clone()
        born[born < 0] = origin
        return (frame - born).to(torch.float32)

    def _other(self, request: PaneRequest) -> tuple[Gaussians | None, ColourAffines | None]:
        shared, document = self._tab.shared, self._tab.document
        if shared.other is None or not shared.ready:
            return None, None
        if request.frame not in document.runs.records(shared.other):
            return None, None
        frames = document.frames
        return frames.frame(shared.other, request.frame), frames.colours(shared.other, request.frame)


def _of_rows(values: torch.Tensor | None, rows: np.ndarray) -> torch.Tensor | None:
    """Values of the Gaussians that are shown. Those that an edit added to the frame have none: 0."""
    if values is None:
        return None
    import torch

    index = torch.from_numpy(rows)
    known = index < len(values)
    found = torch.zeros((len(index), *values.shape[1:]), dtype=values.dtype)
    found[known] = values[index[known]]
    return found
