"""Poses that were written in another convention than they are read in: the cameras then share no view, or are tilted in different
directions.

Each such pose alone is a valid rigid motion. The rig shows the mistake: cameras of one scene look at one place, and most stand upright.
Each other reading of the same numbers is tried: the inverse, the position in place of the translation, the axes of OpenCV, OpenGL and
LLFF, and quaternions in the other order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.layout import Axes, Layout
from trackersplat.captures.settings import leave_out
from trackersplat.captures.still_cameras import ROUNDING, group_by_camera, some

PREFIX = "The poses look wrong: "  # of all remarks of this module

MOST, FEW = 0.9, 0.5  # shares of the cameras that see the place at which all look
MANY_POINTS, FEW_POINTS = 0.8, 0.2  # shares of the capture's points that two cameras see
MIN_CAMERAS = 3  # with two, the axes always come close to each other somewhere
MAX_CAMERAS = 300  # of a rig whose cameras are compared pair by pair
_UPRIGHT = 0.05  # a rig with a smaller `Reading.askew` is upright enough
_MORE_UPRIGHT = 0.25  # another reading must reduce `Reading.askew` to at most this share
_MORE_COVERED = 0.3  # by which another reading must increase `Reading.covered`, where the given one is neither wrong nor right
_FAR_OFF = 50.0  # times the usual distance from the middle of the rig
_PARALLEL = 200.0  # condition beyond which the axes are within a few degrees of each other, and meet by accident
_CLEARLY = 20.0  # condition below which many axes, far from parallel, meet at one place: no accident
_POINTS = 500  # of the capture that are used
_DEPTHS = np.geomspace(0.02, 100.0, 14)  # at which views are compared, in sizes of the rig
_SHARED = 0.02  # of the samples of one view that the other must see

# The columns of a rotation from camera to world, in terms of OpenCV's right, down and forward.
_AXES: dict[Axes, tuple[str, np.ndarray]] = {
    "opencv": ("OpenCV's axes (right, down, forward)", np.eye(3)),
    "opengl": ("OpenGL's axes (right, up, backward)", np.diag((1.0, -1.0, -1.0))),
    "llff": ("LLFF's axes (down, right, backward)", np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])),
}


@dataclass(frozen=True)
class Reading:
    """One way to read the given numbers, and what the rig then looks like."""

    words: str
    inverse: bool  # the matrices are the other way round
    meets: float  # how well the axes fix the place at which all look: condition of its equations, infinite if they are parallel
    sees: float | None  # share of the cameras that see the place at which all look; None where their axes are almost parallel
    covered: float | None  # share of the points that two cameras see; None without points
    askew: float  # 0 where all cameras have one "down", 1 where there is no common one

    @property
    def fits(self) -> bool:
        return (self.sees or 0.0) >= MOST if self.covered is None else self.covered >= MANY_POINTS

    @property
    def fails(self) -> bool:
        return (self.sees is not None and self.sees <= FEW) if self.covered is None else self.covered <= FEW_POINTS


def pose_remarks(cameras: Sequence[Camera], points: np.ndarray | None, layout: Layout) -> list[str]:
    """What is implausible about the poses of a capture of this layout, and which other reading of them would fit."""
    far, times = far_off(cameras)
    remarks = []
    if far:
        stand = "stands" if len(far) == 1 else "stand"
        remarks.append(
            f"{some(far)} {stand} {times:,.0f} times as far from the middle of the rig as the median camera: check the units, or leave "
            f"{leave_out(far)}."
        )
    near = [camera for camera in cameras if camera.name not in far]  # one that is far off hides what is wrong with the others
    same = list(_coincident(near))
    return [PREFIX + remark for remark in (*remarks, *same, *_misread(near, points, layout), *_alone(near))]


def better_reading(cameras: Sequence[Camera], points: np.ndarray | None, layout: Layout) -> tuple[Reading, Reading] | None:
    """The given reading and another one under which the rig makes sense; None if the given one does or no other is better."""
    if len(cameras) < MIN_CAMERAS:
        return None
    with np.errstate(all="ignore"):
        given, *others = _readings(cameras, None if points is None or not len(points) else points, layout)
    fitting = [other for other in others if other.fits]
    if not given.fails and any(_covers_more(other, given) for other in fitting):
        fitting = [other for other in fitting if _covers_more(other, given)]
    elif not given.fails:
        if given.askew <= _UPRIGHT:
            return None
        if given.fits and given.meets < _CLEARLY:  # then the direction of the matrices is right, and only the axes may be wrong
            fitting = [other for other in fitting if not other.inverse]
        fitting = [other for other in fitting if other.askew < _MORE_UPRIGHT * given.askew]
        fitting = [other for other in fitting if (other.covered or 0.0) >= (given.covered or 0.0) - _UPRIGHT]
    # Readings are ordered from the most usual mistake to the rarest; a later one must be clearly better.
    return (given, min(fitting, key=lambda other: (-round(other.covered or 0.0, 2), round(other.askew, 1)))) if fitting else None


def _covers_more(other: Reading, given: Reading) -> bool:
    return other.covered is not None and given.covered is not None and other.covered - given.covered > _MORE_COVERED


def _misread(cameras: Sequence[Camera], points: np.ndarray | None, layout: Layout) -> Iterator[str]:
    found = better_reading(cameras, points, layout)
    if found is None:
        return
    given, better = found
    sense = "all cameras would look at one place" if better.covered is None else f"two cameras see {better.covered:.0%} of the points"
    if _covers_more(better, given) and not given.fails:
        what = f"two cameras see only {given.covered:.0%} of the points"
    elif given.fails and given.covered is not None:
        what = f"the cameras share no view (two cameras see {given.covered:.0%} of the points)"
    elif given.fails:
        what = "the cameras share no view"
    else:
        what, sense = "the cameras are tilted in different directions", "all cameras would be upright and look at one place"
    yield f"{what}, read as {given.words}. Read as {better.words}, {sense}: convert the poses, or check them with `trackersplat check`."


def _coincident(cameras: Sequence[Camera]) -> Iterator[str]:
    """Cameras that all stand at one place, or two that stand at one and look the same way."""
    if len(cameras) < 2:
        return
    centers = np.stack([camera.center for camera in cameras])
    size = float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())
    if size <= ROUNDING * max(1.0, float(np.abs(centers).max())):
        yield f"all {len(cameras)} cameras stand at one place, so that no depth can be found: check the positions of the cameras."
        return
    groups, _ = group_by_camera(np.stack([np.linalg.inv(camera.world_to_camera) for camera in cameras]), np.zeros((len(cameras), 1)))
    shared = [[cameras[index].name for index in group] for group in groups if len(group) > 1]
    if shared:
        others = [name for names in shared for name in names[1:]]
        rest = len(shared) - 1
        more = f", and so {'has 1 more group' if rest == 1 else f'have {rest} more groups'} of cameras" if rest else ""
        yield f"{some(shared[0])} have one pose{more}: check that names and poses belong together, or leave {leave_out(others)}."


def _alone(cameras: Sequence[Camera]) -> Iterator[str]:
    """Cameras that share a view with no other."""
    if not 2 <= len(cameras) <= MAX_CAMERAS:
        return
    shared = _shared_views(cameras)
    np.fill_diagonal(shared, 0.0)
    alone = [camera.name for camera, most in zip(cameras, shared.max(axis=1), strict=True) if most < _SHARED]
    if alone:
        share = "shares" if len(alone) == 1 else "share"
        which = "no two cameras share a view" if len(alone) == len(cameras) else f"{some(alone)} {share} no view with any other camera"
        without = "" if len(alone) > len(cameras) // 2 else f", or leave {leave_out(alone)}"
        yield f"{which}: check the poses, and that names and poses belong together{without}."


def far_off(cameras: Sequence[Camera]) -> tuple[list[str], float]:
    """Names of the cameras that stand far away from all others, and how many times the usual distance the furthest does."""
    if len(cameras) < MIN_CAMERAS:
        return [], 0.0
    centers = np.stack([camera.center for camera in cameras])
    distances = np.linalg.norm(centers - np.median(centers, axis=0), axis=1)
    usual = float(np.median(distances))
    if usual == 0:
        return [], 0.0
    far = [camera.name for camera, distance in zip(cameras, distances, strict=True) if distance > _FAR_OFF * usual]
    return far, float(distances.max() / usual)


def _readings(cameras: Sequence[Camera], points: np.ndarray | None, layout: Layout) -> Iterator[Reading]:
    """The given one first, then from the usual mistake to the rarest."""
    given = _AXES[layout.axes][1]
    rotations = np.stack([camera.rotation for camera in cameras])
    # The matrix M and the last column m as the file has them.
    if layout.camera_to_world:
        M, m = rotations.transpose(0, 2, 1) @ given.T, np.stack([camera.center for camera in cameras])
    else:
        M, m = given @ rotations, np.stack([camera.translation for camera in cameras]) @ given.T
    turned = M.transpose(0, 2, 1)
    ways = {
        "camera to world": (M, m),
        "world to camera": (turned, -np.einsum("cij,cj->ci", turned, m)),
        "rotations from world to camera beside positions of the cameras": (turned, m),
    }
    if layout.quaternions:
        other = _quaternions_reordered(turned)
        ways["world to camera by quaternions x y z w"] = (other, -np.einsum("cij,cj->ci", other, m))
    names = [layout.axes, *(name for name in _AXES if name != layout.axes)]
    usual = ("world to camera", "camera to world")
    order = sorted(ways, key=lambda words: (words == usual[0]) == layout.camera_to_world if words in usual else 2)
    for words in order:
        to_world, centers = ways[words]
        for name in names:
            axes = to_world @ _AXES[name][1]
            meets, sees = _common_place(cameras, axes, centers)
            covered = None
            if points is not None:
                seen = _inside(cameras, axes, centers, points[:: max(1, len(points) // _POINTS)])
                covered = float((seen.sum(axis=0) >= 2).mean())
            askew = 1.0 - float(np.linalg.norm(axes[:, :, 1].mean(axis=0)))
            yield Reading(f"{words}, {_AXES[name][0]}", words != order[0], meets, sees, covered, askew)


def _quaternions_reordered(to_world: np.ndarray) -> np.ndarray:
    """Rotations (C, 3, 3) from camera to world whose quaternions, from world to camera, were read as w x y z and meant as x y z w."""
    from scipy.spatial.transform import Rotation  # takes a while to import

    x, y, z, w = Rotation.from_matrix(to_world).inv().as_quat().T
    return Rotation.from_quat(np.stack((w, x, y, z), axis=1)).inv().as_matrix()


def _common_place(cameras: Sequence[Camera], to_world: np.ndarray, centers: np.ndarray) -> tuple[float, float | None]:
    """``meets`` and ``sees`` of a `Reading`."""
    axes = to_world[:, :, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    normal = across.sum(axis=0)
    meets = float(np.linalg.cond(normal)) if np.isfinite(normal).all() else np.inf
    if not meets <= _PARALLEL:
        return np.inf, None
    place = np.linalg.solve(normal, np.einsum("cij,cj->i", across, centers))
    size = np.linalg.norm(centers - centers.mean(axis=0), axis=1).max()
    # A rig at one point whose cameras look all around has its "place" at itself: nothing is seen there.
    if np.linalg.norm(place - centers, axis=1).min() < 0.1 * size:
        return meets, 0.0
    return meets, float(_inside(cameras, to_world, centers, place[None]).mean())


def _inside(cameras: Sequence[Camera], to_world: np.ndarray, centers: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(C, P) bool: which cameras see which world points (P, 3)."""
    local = np.einsum("cji,cpj->cpi", to_world, points[None] - centers[:, None])
    front = local[..., 2] > 0
    depth = np.where(front, local[..., 2], 1.0)
    intrinsics = np.array([(c.fx, c.fy, c.cx, c.cy, c.width, c.height) for c in cameras])[:, :, None]
    u, v = local[..., 0] / depth * intrinsics[:, 0] + intrinsics[:, 2], local[..., 1] / depth * intrinsics[:, 1] + intrinsics[:, 3]
    return front & (u >= 0) & (v >= 0) & (u <= intrinsics[:, 4]) & (v <= intrinsics[:, 5])


def _shared_views(cameras: Sequence[Camera]) -> np.ndarray:
    """(C, C) the larger share of samples of one camera's view, at many depths, that the other sees."""
    to_world = np.stack([camera.rotation.T for camera in cameras])
    centers = np.stack([camera.center for camera in cameras])
    size = float(np.median(np.linalg.norm(centers - np.median(centers, axis=0), axis=1))) or 1.0
    grid = np.stack(np.meshgrid(*2 * [np.linspace(0.1, 0.9, 5)]), axis=-1).reshape(-1, 2)
    seen = []
    for camera, rotation, center in zip(cameras, to_world, centers, strict=True):
        rays = np.column_stack(
            [(grid * (camera.width, camera.height) - (camera.cx, camera.cy)) / (camera.fx, camera.fy), np.ones(len(grid))]
        )
        samples = (rays[None] * (size * _DEPTHS)[:, None, None]).reshape(-1, 3) @ rotation.T + center
        seen.append(_inside(cameras, to_world, centers, samples).mean(axis=1))
    shares = np.stack(seen)
    return np.maximum(shares, shares.T)
