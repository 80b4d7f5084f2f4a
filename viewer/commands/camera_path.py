"""Commands about the camera path of the run, its preview on the stage, and videos."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from trackersplat.camera_paths.path import CameraPath, Key, even_path
from trackersplat.errors import InputError
from viewer.commands.command import Command
from viewer.stage.path_marks import widening
from viewer.video_job import VideoOptions

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "Camera path"
PANEL = "camera_path"
FIRST_LENGTH = 2.0  # seconds of a path of one key


def _add(tab: Tab, camera: int | None = None) -> None:
    """A key after the selected one: the stage's present view, or a camera of the capture."""
    key = _present(tab) if camera is None else _of_camera(tab, camera)
    path, after = tab.document.camera_paths.get(), tab.view.path_key
    if path is None:
        tab.document.camera_paths.set(CameraPath((key,), FIRST_LENGTH))
        place = 0
    else:
        after = after if after is not None and after < len(path.keys) else None
        if len(path.keys) == 1:  # the length was that of a picture that stands
            tab.document.camera_paths.set(even_path((path.keys[0], key), path.seconds))
            place = 1
        else:
            tab.document.camera_paths.set(path.added(key, after))
            place = len(path.keys) if after is None else after + 1
    tab.set(path_key=place, inspector=PANEL, show_path=True)


def _add_camera(tab: Tab, camera: int | None = None) -> None:
    """By default that of the active pane."""
    _add(tab, tab.view.pane().camera if camera is None else camera)


def _present(tab: Tab) -> Key:
    look = tab.document.viewpoints.get(tab.id)
    if look is None:
        raise InputError("The 3D stage is not there yet: wait until it shows the scene.")
    seen = look()
    key = Key.of(seen, frame=float(tab.view.frame))
    if tab.view.path_moment is None:
        return key
    # A stage that follows the path shows all of the video's picture, above and below it more where the stage is narrow.
    return replace(key, fov=2 * math.atan(math.tan(0.5 * key.fov) / widening(seen.width / seen.height, tab.view.video_aspect)))


def _of_camera(tab: Tab, camera: int) -> Key:
    cameras = tab.document.capture.cameras
    return Key.of(cameras[int(camera) % len(cameras)], frame=float(tab.view.frame))


def _path(tab: Tab) -> CameraPath:
    path = tab.document.camera_paths.get()
    if path is None:
        raise InputError("There is no camera path yet: add keys, or choose a ready-made path.")
    return path


def _selected(tab: Tab, key: int | None) -> tuple[CameraPath, int]:
    """The path and the key that was named, else the selected one."""
    path = _path(tab)
    index = tab.view.path_key if key is None else int(key)
    if index is None or not 0 <= index < len(path.keys):
        raise InputError("No key of the camera path is selected: click one in the list.")
    return path, index


def _select(tab: Tab, key: int) -> None:
    """The time becomes that of the key; the stage looks from there if it follows the path."""
    _, index = _selected(tab, key)
    trajectory = tab.document.camera_paths.trajectory()
    assert trajectory is not None
    arrival = float(trajectory.arrivals[index])
    moment = None if tab.view.path_moment is None else arrival
    tab.set(path_key=index, path_moment=moment, path_playing=False, playing=False, frame=trajectory.frame_shown(arrival))


def _look(tab: Tab, key: int | None = None) -> None:
    """The stage looks from the key, and follows the path from there."""
    _, index = _selected(tab, key)
    trajectory = tab.document.camera_paths.trajectory()
    assert trajectory is not None
    _seek(tab, float(trajectory.arrivals[index]))


def _update(tab: Tab, key: int | None = None) -> None:
    path, index = _selected(tab, key)
    new = _present(tab)
    tab.document.camera_paths.set(path.changed(index, replace(new, frame=path.keys[index].frame)))


def _remove(tab: Tab, key: int | None = None) -> None:
    path, index = _selected(tab, key)
    rest = path.without(index)
    tab.document.camera_paths.set(rest)
    tab.set(path_key=None if rest is None else min(index, len(rest.keys) - 1))
    if rest is None:
        _leave(tab)


def _move(tab: Tab, by: int, key: int | None = None) -> None:
    path, index = _selected(tab, key)
    to = min(max(index + int(by), 0), len(path.keys) - 1)
    tab.document.camera_paths.set(path.reordered(index, to))
    tab.set(path_key=to)


def _time(tab: Tab, seconds: float, key: int | None = None) -> None:
    path, index = _selected(tab, key)
    tab.document.camera_paths.set(path.retimed(index, float(seconds)))


def _frame(tab: Tab, frame: int | None, key: int | None = None) -> None:
    """``frame``: index from 0; None: the clip runs on."""
    path, index = _selected(tab, key)
    tab.document.camera_paths.set(path.changed(index, replace(path.keys[index], frame=None if frame is None else float(frame))))


def _lens(tab: Tab, degrees: float, key: int | None = None) -> None:
    path, index = _selected(tab, key)
    tab.document.camera_paths.set(path.changed(index, replace(path.keys[index], fov=math.radians(float(degrees)))))


def _ready_made(tab: Tab, move: str) -> None:
    """Takes the place of the path; it can be undone."""
    from trackersplat.camera_paths.moves.registry import MoveSettings, make_move, usual_seconds
    from trackersplat.camera_paths.rig import rig_of

    known, document = tab.shared.reconstructed, tab.document
    gaussians = document.shown(known[0]) if known else None
    points = None if gaussians is None else gaussians.means.cpu().numpy()
    path, first, last = document.camera_paths.get(), known[0] if known else 0, known[-1] if known else 0
    seconds = usual_seconds(last - first + 1, document.capture.fps) if path is None or len(path.keys) == 1 else path.seconds
    freeze = tab.view.frame if first <= tab.view.frame <= last else None
    made = make_move(move, rig_of(document.capture.cameras, points), MoveSettings(seconds, first=first, last=last, freeze=freeze))
    document.camera_paths.set(made)
    tab.set(path_key=None, show_path=True, inspector=PANEL)


def _length(tab: Tab, seconds: float) -> None:
    tab.document.camera_paths.set(_path(tab).lasting(float(seconds)))


def _constant_speed(tab: Tab) -> None:
    path = _path(tab)
    tab.document.camera_paths.set(replace(path, constant_speed=not path.constant_speed))


def _loop(tab: Tab) -> None:
    path = _path(tab)
    if len(path.keys) == 1:
        raise InputError("A path of one key cannot loop: add another key.")
    tab.document.camera_paths.set(path.looped(not path.loop))


def _clear(tab: Tab) -> None:
    tab.document.camera_paths.set(None)
    tab.set(path_key=None)
    _leave(tab)


def _undo(tab: Tab) -> None:
    tab.document.camera_paths.undo()
    tab.set(path_key=None)
    if tab.document.camera_paths.get() is None:
        _leave(tab)


def _seek(tab: Tab, seconds: float) -> None:
    """The stage looks from the path at this second of the video, in the frame that is shown then."""
    trajectory = tab.document.camera_paths.trajectory()
    if trajectory is None:
        raise InputError("There is no camera path yet: add keys, or choose a ready-made path.")
    moment = min(max(float(seconds), 0.0), trajectory.seconds)
    tab.set(path_moment=moment, path_playing=False, playing=False, frame=trajectory.frame_shown(moment))


def _follow(tab: Tab) -> None:
    """The stage follows the path whenever the time changes, or is free again."""
    if tab.view.path_moment is not None:
        _leave(tab)
        return
    trajectory = tab.document.camera_paths.trajectory()
    _path(tab)
    assert trajectory is not None
    tab.set(path_moment=trajectory.first_time_of(tab.view.frame))


def _leave(tab: Tab) -> None:
    tab.set(path_moment=None, path_playing=False)


def _play(tab: Tab) -> None:
    """At the end it begins anew."""
    if tab.view.path_playing:
        tab.set(path_playing=False)
        return
    path, moment = _path(tab), tab.view.path_moment
    start = 0.0 if moment is None or moment >= path.seconds - 1e-6 else moment
    tab.set(playing=False, path_moment=start, path_playing=True)


def _render(tab: Tab, options: VideoOptions | None = None, camera: int | None = None) -> None:
    """A video along the path, or what a camera of the capture sees."""
    document = tab.document
    name = None if camera is None else document.capture.cameras[int(camera)].name
    document.video.start(document.camera_paths.get(), name, options or VideoOptions())
    tab.set(inspector=PANEL)


def _no_path(tab: Tab) -> str | None:
    return None if tab.document.camera_paths.get() is not None else "There is no camera path yet."


def _no_run(tab: Tab) -> str | None:
    return None if tab.shared.run is not None else "Nothing is reconstructed yet."


def _no_key(tab: Tab) -> str | None:
    return _no_path(tab) or (None if tab.view.path_key is not None else "No key of the camera path is selected.")


def _nothing_undone(tab: Tab) -> str | None:
    return None if tab.document.camera_paths.can_undo else "Nothing was changed on the camera path."


def _rendering(tab: Tab) -> str | None:
    return "A video is being rendered." if tab.document.video.state.running else _no_run(tab)


def _not_rendering(tab: Tab) -> str | None:
    return None if tab.document.video.state.running else "No video is being rendered."


COMMANDS = (
    Command("path.add", "Add the stage's view to the camera path", GROUP, _add, "shift+q", enabled=_no_run),
    Command("path.add_camera", "Add a camera to the camera path", GROUP, _add_camera, enabled=_no_run),
    Command("path.select", "Select a key of the camera path", GROUP, _select, enabled=_no_path),
    Command("path.look", "Look from the selected key", GROUP, _look, enabled=_no_key),
    Command("path.update", "Set the selected key to the stage's view", GROUP, _update, enabled=_no_key),
    Command("path.remove", "Delete the selected key", GROUP, _remove, enabled=_no_key),
    Command("path.move", "Move the selected key in the order", GROUP, _move, enabled=_no_key),
    Command("path.time", "Time of the selected key", GROUP, _time, enabled=_no_key),
    Command("path.frame", "Frame of the selected key", GROUP, _frame, enabled=_no_key),
    Command("path.lens", "Angle of view of the selected key", GROUP, _lens, enabled=_no_key),
    Command("path.ready_made", "Ready-made camera path", GROUP, _ready_made, enabled=_no_run),
    Command("path.length", "Length of the camera path", GROUP, _length, enabled=_no_path),
    Command("path.constant_speed", "Constant speed on the camera path", GROUP, _constant_speed, enabled=_no_path),
    Command("path.loop", "Camera path returns to its start", GROUP, _loop, enabled=_no_path),
    Command("path.clear", "Delete the camera path", GROUP, _clear, enabled=_no_path),
    Command("path.undo", "Undo the last change of the camera path", GROUP, _undo, enabled=_nothing_undone),
    Command("path.show", "Camera path on the stage", GROUP, lambda tab: tab.set(show_path=not tab.view.show_path)),
    Command("path.follow", "Stage follows the camera path", GROUP, _follow, "shift+j", enabled=_no_path),
    Command("path.play", "Play the camera path", GROUP, _play, "shift+space", enabled=_no_path),
    Command("path.seek", "Go to a moment of the camera path", GROUP, _seek, enabled=_no_path),
    Command("video.render", "Render a video", GROUP, _render, enabled=_rendering),
    Command("video.cancel", "Cancel the video", GROUP, lambda tab: tab.document.video.cancel(), enabled=_not_rendering),
)
