"""Why a track fails, and what helps."""

from __future__ import annotations

from enum import IntEnum


class Category(IntEnum):
    """Of one track in one frame. The numbers are those of files: new ones go to the end."""

    NONE = 0
    LEFT_IMAGE = 1
    OCCLUSION = 2
    DRIFT = 3
    IDENTITY_SWAP = 4
    TEXTURELESS = 5
    TOO_FAST = 6
    FEW_VIEWS = 7
    BAD_CAMERA = 8
    GEOMETRY = 9

    @property
    def title(self) -> str:
        return _TEXTS[self][0]

    @property
    def meaning(self) -> str:
        """One sentence."""
        return _TEXTS[self][1]

    @property
    def action(self) -> str:
        """One sentence: what helps; empty if nothing has to be done."""
        return _TEXTS[self][2]


class TrackState(IntEnum):
    """What a track is in one frame."""

    ABSENT = 0  # before it begins, or after it ended
    VISIBLE = 1  # it claims that the point is seen
    HIDDEN = 2  # it claims that the point is hidden
    ENDED = 3  # in this frame


_TEXTS: dict[Category, tuple[str, str, str]] = {
    Category.NONE: ("no failure", "Nothing speaks against the track.", ""),
    Category.LEFT_IMAGE: (
        "left the image",
        "The point is outside the image, or at its border.",
        "Let the track end there; another view goes on.",
    ),
    Category.OCCLUSION: (
        "occlusion",
        "Something else is in front of the point, but the track goes on as if it were seen.",
        "Drop this view for these frames, or re-track from where the point is seen again.",
    ),
    Category.DRIFT: (
        "drift",
        "The track moved away from its point little by little.",
        "Re-track from the last good frame, or correct the point by hand there.",
    ),
    Category.IDENTITY_SWAP: (
        "identity swap",
        "The track jumped to another point.",
        "Re-track from the frame before the jump, or with another tracker.",
    ),
    Category.TEXTURELESS: (
        "textureless",
        "The image around the point has no detail to follow.",
        "Start the track on more texture, or drop it: the neighbours carry the surface.",
    ),
    Category.TOO_FAST: (
        "motion too fast",
        "The point moves further between two frames than its neighbourhood is similar.",
        "Use another tracker, or footage of a higher frame rate.",
    ),
    Category.FEW_VIEWS: (
        "too few views",
        "Fewer than two other views confirm the point, or all look along one line.",
        "Add or enable cameras that see it; do not trust its depth.",
    ),
    Category.BAD_CAMERA: (
        "one bad camera",
        "The camera of this track contradicts the others everywhere.",
        "Check its pose, clock and focus with `trackersplat check`, or leave the camera out.",
    ),
    Category.GEOMETRY: (
        "geometry",
        "The views agree on the point, but the Gaussians are elsewhere.",
        "Re-run these frames with more steps, or re-seed the Gaussians there.",
    ),
}
