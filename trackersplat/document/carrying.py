"""A selection carried through time: to Gaussians that take the place of selected ones in other frames, under other ids.

From the frame of the selection, frame by frame forwards and backwards, each Gaussian has a number from 0 (not of the object) to 1. One
that is in both frames keeps most of it. A newborn gets the mean of its neighbours: those that are nearest in position, colour and
motion together, weighted by closeness and opacity. Neighbours are the Gaussians of the frame, and those of the frame before that are
not there any more. Others near the object move towards the mean of theirs, so that what the object left behind, and what became part
of it, change sides; only those are asked that have one of the other side close by. What is above one half in the mean of its life,
weighted by opacity and area, belongs to the object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from trackersplat.document.selection import Selection, rows_of
from trackersplat.gaussians.gaussians import SH_C0, Gaussians

ReadFrame = Callable[[int], tuple[np.ndarray, Gaussians]]

_FEWEST = 4  # Gaussians of an object: a spacing needs three neighbours
_SHIFTS = 10  # steps of finding a motion
_LEAST = 1e-4  # weight of all neighbours together below which they say nothing


@dataclass(frozen=True)
class CarrySettings:
    """What counts as near. A spacing is the median distance of the object's Gaussians to the third nearest of them."""

    neighbours: int = 24
    reach: float = 3.0  # so many spacings count as much as
    colour: float = 0.3  # this difference of colours (0 to 1), and as
    motion: float = 0.5  # so many spacings of difference between motions from one frame to the next
    turn: float = 0.65  # how far a Gaussian moves towards the mean of its neighbours in a frame, 0 to 1
    margin: float = 4.0  # spacings around the object in which Gaussians are judged
    faint: float = 0.2  # opacity below which a Gaussian is not judged, but later, when it is seen
    rounds: int = 3  # in which newborns ask each other
    beside: float = 2.5  # times reach: others are asked only if one that differs is as near as this
    differs: float = 0.02  # by so much from 0, or from 1


@dataclass(frozen=True, eq=False)
class _Moment:
    """N Gaussians in one frame."""

    ids: np.ndarray  # (N,)
    means: np.ndarray  # (N, 3)
    colours: np.ndarray  # (N, 3)
    opacities: np.ndarray  # (N,)
    weights: np.ndarray  # (N,) opacity times the area spanned by the two largest axes
    motion: np.ndarray  # (N, 3) to the next frame of the sweep

    @staticmethod
    def of(ids: np.ndarray, gaussians: Gaussians) -> _Moment:
        opacities, scales = gaussians.opacities.numpy(), np.sort(gaussians.log_scales.numpy(), axis=1)
        means, colours = gaussians.means.numpy(), gaussians.sh[:, 0].numpy() * SH_C0 + 0.5
        return _Moment(ids, means, colours, opacities, opacities * np.exp(scales[:, 1:].sum(1)), np.zeros_like(means))

    def between(self, before: _Moment | None, after: _Moment | None) -> _Moment:
        """With the motion to the frame after; as from the frame before where it is not there any more; 0 where it is in neither."""
        motion = np.zeros_like(self.means)
        for other, sign in ((before, -1.0), (after, 1.0)):
            if other is not None:
                rows = rows_of(self.ids, other.ids)
                here = rows >= 0
                motion[here] = sign * (other.means[rows[here]] - self.means[here])
        return replace(self, motion=motion)

    def part(self, rows: np.ndarray) -> _Moment:
        return _Moment(*(values[rows] for values in vars(self).values()))

    def and_moved(self, gone: _Moment, still: bool) -> _Moment:
        """And those of the frame before that are not here, moved on. ``still``: no motion is known here, so none is compared."""
        moved = replace(gone, means=gone.means + gone.motion, motion=gone.motion * (not still))
        return _Moment(*(np.concatenate(pair) for pair in zip(vars(self).values(), vars(moved).values(), strict=True)))


@dataclass(frozen=True, eq=False)
class _Labels:
    """Of the N Gaussians of a frame: how much each belongs to the object, and the sums of that over the frames so far."""

    values: np.ndarray  # (N,) 0 to 1
    judged: np.ndarray  # (N,) bool; the others count as newborn when they become visible
    total: np.ndarray  # (N,) sum of value times weight
    weight: np.ndarray  # (N,)

    @property
    def belongs(self) -> np.ndarray:
        """(N,) bool."""
        return self.total > 0.5 * self.weight


def carried(selection: Selection, frame: int, frames: tuple[int, ...], read: ReadFrame, settings: CarrySettings) -> Selection:
    """The selection of a ``frame``, and what continues it in the others. ``read``: ids (N,) and Gaussians of a frame, on the CPU."""
    place = frames.index(frame)
    found = [selection.ids]
    for order in (frames[place:], frames[place::-1]):
        found += _sweep(selection, (_Moment.of(*read(each)) for each in order), settings)
    return Selection.of(np.concatenate(found))


def _sweep(selection: Selection, moments: Iterator[_Moment], settings: CarrySettings) -> Iterator[np.ndarray]:
    """Ids that belong to the object, over the frames in this order; the first is that of the selection."""
    here, after = next(moments), next(moments, None)
    here = here.between(None, after)
    values = selection.mask(here.ids).astype(np.float64)
    labels = _Labels(values, (here.opacities > settings.faint) | (values > 0), values * here.weights, here.weights)
    while after is not None:
        before, here, after = here, after, next(moments, None)
        here = here.between(before, after)
        rows = rows_of(here.ids, before.ids)
        gone = np.ones(len(before.ids), bool)
        gone[rows[rows >= 0]] = False
        yield before.ids[gone & labels.belongs]
        labels = _judged(before, labels, gone, here, rows, settings)
    yield here.ids[labels.belongs]


def _judged(before: _Moment, labels: _Labels, gone: np.ndarray, here: _Moment, rows: np.ndarray, settings: CarrySettings) -> _Labels:
    """Labels of the frame ``here``. ``rows``: where its Gaussians were in the frame ``before``, -1 for newborns; ``gone``: which of that
    frame are not here."""
    place = np.maximum(rows, 0)
    known = (rows >= 0) & labels.judged[place]
    values = np.where(known, labels.values[place], 0.0)
    solid = here.opacities > settings.faint
    left = np.flatnonzero(gone & labels.judged & (before.opacities > settings.faint))
    if not (rows >= 0).any():
        before = _shifted(before, labels.values > 0.5, here.part(np.flatnonzero(solid)), settings)
    lost = left[labels.values[left] > 0.5]
    object_here = np.concatenate((here.means[known & solid & (values > 0.5)], before.means[lost] + before.motion[lost]))
    if len(object_here) >= _FEWEST and (len(left) or not known[solid].all()):
        spacing = float(np.median(cKDTree(object_here).query(object_here, k=_FEWEST)[0][:, -1]))
        low, high = object_here.min(0) - settings.margin * spacing, object_here.max(0) + settings.margin * spacing
        near = np.flatnonzero(solid & ((here.means >= low) & (here.means <= high)).all(1))
        voters = here.part(near).and_moved(before.part(left), still=not (rows >= 0).any())
        said = np.concatenate((values[near], labels.values[left]))
        sure = np.concatenate((known[near], np.ones(len(left), bool)))
        values[near] = _asked(voters, said, sure, len(near), max(spacing, 1e-12), settings)
    total = np.where(rows >= 0, labels.total[place], 0.0) + values * here.weights
    return _Labels(values, known | solid, total, np.where(rows >= 0, labels.weight[place], 0.0) + here.weights)


def _shifted(before: _Moment, chosen: np.ndarray, here: _Moment, settings: CarrySettings) -> _Moment:
    """Where no Gaussian is known in both frames: the ``chosen`` (N,) with the motion that brings them to what they look like."""
    motion = np.zeros_like(before.means)
    means, colours = before.means[chosen], before.colours[chosen] / settings.colour
    if len(means) < _FEWEST or not len(here.ids):
        return replace(before, motion=motion)
    scale = settings.reach * max(float(np.median(cKDTree(means).query(means, k=_FEWEST)[0][:, -1])), 1e-12)
    tree = cKDTree(np.concatenate((here.means / scale, here.colours / settings.colour), axis=1))
    shift = np.zeros(3)
    for _ in range(_SHIFTS):
        nearest = tree.query(np.concatenate(((means + shift) / scale, colours), axis=1))[1]
        shift = np.median(here.means[nearest] - means, axis=0)
    motion[chosen] = shift
    return replace(before, motion=motion)


def _asked(voters: _Moment, said: np.ndarray, sure: np.ndarray, count: int, spacing: float, settings: CarrySettings) -> np.ndarray:
    """(count,) values of the first ``count`` voters after all have asked their neighbours. ``said`` (V,), and ``sure`` (V,) bool: false
    of newborns, who say nothing before they have an answer."""
    if not count:
        return said[:0]
    scales = (settings.reach * spacing, settings.colour, settings.motion * spacing)
    features = np.concatenate([part / scale for part, scale in zip((voters.means, voters.colours, voters.motion), scales, strict=True)], 1)
    number = min(settings.neighbours + 1, len(features))
    some = np.flatnonzero(_unsettled(features[:, :3], said, sure, settings)[:count])
    distance, neighbour = cKDTree(features).query(features[some], k=number, workers=-1)
    distance, neighbour = distance.reshape(len(some), number)[:, 1:], neighbour.reshape(len(some), number)[:, 1:]
    closeness = voters.opacities[neighbour] * np.exp(-0.5 * distance**2)
    now, heard = said.copy(), sure.copy()
    kept, turn = np.where(sure[some], said[some], 0.0), np.where(sure[some], settings.turn, 1.0)
    for _ in range(settings.rounds):
        weights = closeness * heard[neighbour]
        total = weights.sum(1)
        answer = (weights * now[neighbour]).sum(1) / np.maximum(total, 1e-30)
        answered = total > _LEAST
        now[some] = np.where(answered, kept + turn * (answer - kept), kept)
        heard[some] |= answered
    return now[:count]


def _unsettled(places: np.ndarray, said: np.ndarray, sure: np.ndarray, settings: CarrySettings) -> np.ndarray:
    """(V,) bool: newborns, and those near to which one that is not a newborn says something else. All others would hear what they say.

    ``places`` (V, 3), in multiples of the reach.
    """
    inside, outside = sure & (said >= 1 - settings.differs), sure & (said <= settings.differs)
    found = ~(inside | outside)
    for side in (inside, outside):
        others = sure & ~side
        if side.any() and others.any():
            nearest = cKDTree(places[others]).query(places[side], distance_upper_bound=settings.beside, workers=-1)[0]
            found[side] = np.isfinite(nearest)
    return found
