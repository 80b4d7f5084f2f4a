"""``reseed``: new tracks start in a camera at a frame, where coverage was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trackersplat.edits.arguments import Arguments
from trackersplat.edits.edit import Edit

if TYPE_CHECKING:
    from trackersplat.edits.frame_tracks import FrameTracks
    from trackersplat.motion.followed_tracks import FollowedTracks

LEAST_SPACING, LARGEST_SPACING = 1.0, 4096.0  # px


@dataclass(frozen=True)
class Reseed(Edit):
    """At the given pixels, or else on a grid, in the cells without a visible track. The bound on tracks per camera does not apply."""

    kind: ClassVar[str] = "reseed"
    camera: str
    frame: int
    pixels: tuple[tuple[float, float], ...] = ()
    spacing: float | None = None  # px of the grid; None: a third of that of the run, so that some start between others

    @classmethod
    def parse(cls, arguments: Arguments) -> Reseed:
        return cls(
            camera=arguments.text("camera"),
            frame=arguments.frame(),
            pixels=arguments.pixels("pixels") if arguments.has("pixels") else (),
            spacing=arguments.number("spacing", LEAST_SPACING, LARGEST_SPACING) if arguments.has("spacing") else None,
        )

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"camera": self.camera, "frame": self.frame + 1}
        if self.pixels:
            found["pixels"] = [list(pixel) for pixel in self.pixels]
        if self.spacing is not None:
            found["spacing"] = self.spacing
        return found

    @property
    def label(self) -> str:
        where = f"at {len(self.pixels):,} pixel{'' if len(self.pixels) == 1 else 's'}" if self.pixels else "on a grid"
        return f"Start new tracks {where} in {self.camera}, frame {self.frame + 1}"

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self.camera,)

    @property
    def last_frame(self) -> int:
        return self.frame

    def changes_tracks(self, frame: int) -> bool:
        return frame == self.frame

    def change_tracks(self, state: FollowedTracks, at: FrameTracks) -> FollowedTracks:
        return at.with_tracks_in(state, self.camera, self.pixels, self.spacing, self.label)
