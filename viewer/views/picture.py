"""The picture of one camera pane, made from explicit inputs.

At rest the whole camera is rendered at its own resolution and the visible part is cut out of it, so that every pixel is that of the
run's scores: a camera cropped to the visible part renders large Gaussians slightly differently (rendering/rules.py, SLOPE_MARGIN).
While things move, the cropped camera is rendered at the resolution that time allows.
"""

from __future__ import annotations

import cv2
import numpy as np

from viewer.views.compare import why_impossible
from viewer.views.highlight import highlighted
from viewer.views.painting import Painting, Renderings, Window
from viewer.views.request import PanePicture, PaneRequest, Sources, Unavailable

DIM = 0.4  # brightness of a frame that stands in for one that is not reconstructed
PIXELATED = 3.0  # device pixels per camera pixel from which on the page draws pixels as squares


def pane_picture(request: PaneRequest, sources: Sources, kept: Renderings | None = None) -> PanePicture:
    """Raises Unavailable if there is no such picture, InputError if the photograph cannot be read."""
    why = why_impossible(request.compare, request.channel, request.against)
    if why is not None:
        raise Unavailable(why)
    kept = kept if kept is not None else Renderings()
    if not sources.filmed and (request.compare == "photo" or (request.compare in ("wipe", "error") and request.against == "photo")):
        raise Unavailable("The frames were imported, there are no photographs: choose Render.")
    window = Window.of(request, sources.camera)
    waits = sources.rasterizer is None or sources.gaussians is None
    if request.compare == "photo" or (waits and request.channel == "colour" and request.compare in ("render", "wipe")):
        return _photograph(request, sources, window, waits)
    _check_there(request, sources)
    stands_in = sources.source_frame != request.frame and request.compare != "other"
    paint = Painting(request, sources, kept, window)
    shown = paint.shown()
    image = shown.image
    if stands_in and request.compare == "wipe":
        edge = paint.edge(image.shape[1])
        image = np.concatenate([image[:, :edge], _dimmed(image[:, edge:])], axis=1)
    elif stands_in:
        image = _dimmed(image)
    image = _fitted(image, window)
    if sources.selected is not None and request.compare != "other":
        image = highlighted(image, paint.selected(image.shape[1], image.shape[0]), image.shape[1] / max(window.width, 1))
    compared = sources.filmed or (request.compare == "error" and request.against == "run")
    score = paint.score() if request.full and request.channel == "colour" and not stands_in and compared else None
    return PanePicture(
        image=image,
        rect=window.rect,
        camera=sources.camera.name,
        camera_size=(sources.camera.width, sources.camera.height),
        role=sources.role,
        frame=sources.source_frame if stands_in and sources.source_frame is not None else request.frame,
        title=picture_title(request, sources),
        note=_note(request, sources, stands_in),
        score=score,
        scale=shown.scale,
        wipe=min(max(request.wipe, 0.0), 1.0) if request.compare == "wipe" else None,
        lossless=request.full and (request.compare == "error" or shown.scale is not None or window.zoom >= PIXELATED),
        exact=request.full,
    )


def _check_there(request: PaneRequest, sources: Sources) -> None:
    number = request.frame + 1
    if sources.rasterizer is None:
        raise Unavailable(sources.waiting or "The renderer is starting: the photograph can be seen already.")
    if (request.compare == "other" or request.against == "run") and request.compare not in ("render", "photo") and sources.other is None:
        raise Unavailable(f"There is no frame {number} of another run to compare with: choose a run to compare, or another frame.")
    if request.compare == "other":
        return
    if sources.gaussians is None:
        raise Unavailable("Nothing is reconstructed yet: reconstruct this frame, or look at the photograph.")
    if request.compare == "error" and sources.source_frame != request.frame:
        instead = "" if sources.source_frame is None else f" Frame {sources.source_frame + 1} is the nearest one that is."
        raise Unavailable(f"No error map: frame {number} is not reconstructed.{instead}")
    values = {"motion": sources.motion, "static": sources.static, "age": sources.age, "error": sources.error}
    if request.channel in values and values[request.channel] is None:
        raise Unavailable(sources.missing.get(request.channel) or f"The run holds no such values of frame {number}.")


def _photograph(request: PaneRequest, sources: Sources, window: Window, waits: bool) -> PanePicture:
    x0, y0, x1, y1 = window.rect
    note = ""
    if request.compare != "photo" and waits:
        note = sources.waiting or ("Nothing is reconstructed yet." if sources.gaussians is None else "The renderer is starting.")
    return PanePicture(
        image=_fitted(sources.photo()[y0:y1, x0:x1], window, 1.0 if request.full else request.detail),
        rect=window.rect,
        camera=sources.camera.name,
        camera_size=(sources.camera.width, sources.camera.height),
        role=sources.role,
        frame=request.frame,
        title="Photograph",
        note=note,
        lossless=request.full and window.zoom >= PIXELATED,
        exact=request.full,
    )


def _dimmed(image: np.ndarray) -> np.ndarray:
    return (image * DIM).astype(np.uint8)


def _fitted(image: np.ndarray, window: Window, detail: float = 1.0) -> np.ndarray:
    """Fewer pixels if the pane has fewer; never more."""
    width, height = (max(round(side * detail), 1) for side in (window.width, window.height))
    if image.shape[1] <= width and image.shape[0] <= height:
        return np.ascontiguousarray(image)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def picture_title(request: PaneRequest, sources: Sources) -> str:
    """What is shown, for people."""
    names = {"colour": "Render", "depth": "Depth", "opacity": "Opacity", "motion": "Motion", "static": "Static and moving", "age": "Age"}
    name = names.get(request.channel, "Error per Gaussian")
    if sources.edited and request.compare != "other":
        name += ", edited"
    if request.compare == "wipe":
        left = "Photo" if request.against == "photo" else sources.other_name
        return f"{left} | {name}"
    if request.compare == "error":
        edited = ", edited" if sources.edited else ""
        return f"Error{edited}" if request.against == "photo" else f"Difference from {sources.other_name}"
    if request.compare == "other":
        return sources.other_name if request.channel == "colour" else f"{sources.other_name}: {name.lower()}"
    return name


def _note(request: PaneRequest, sources: Sources, stands_in: bool) -> str:
    if stands_in and sources.source_frame is not None:
        return f"Frame {request.frame + 1} is not reconstructed: frame {sources.source_frame + 1} stands in, dimmed."
    return "This frame is still being optimised." if sources.draft and request.compare != "other" else ""
