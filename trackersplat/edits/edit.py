"""What an edit is: something that a person found wrong in a run, and what the method does about it when it makes the frames again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trackersplat.edits.arguments import Arguments
from trackersplat.registry import Facts

if TYPE_CHECKING:  # what edits are can be listed without PyTorch
    from typing_extensions import Self

    from trackersplat.edits.frame_tracks import FrameTracks
    from trackersplat.motion.followed_tracks import FollowedTracks


@dataclass(frozen=True)
class EditFacts(Facts):
    """Facts about a kind of edit. ``load`` names a frozen dataclass that is an `Edit`."""

    arguments: str = ""  # as `trackersplat edits --add` takes them, for people
    needs_tracks: bool = True  # whether it does nothing in a run whose pipeline asks no tracker
    training: bool = False  # whether it does nothing to a held-out camera


@dataclass(frozen=True)
class HandPoint:
    """A material point, put by hand at a pixel of one camera."""

    track: int  # id of the track that follows it
    camera: str
    pixel: tuple[float, float]  # px, centres at +0.5
    deviation: float  # px per axis, how exactly it was put there


@dataclass(frozen=True)
class Edit(ABC):
    """One kind of edit with its arguments. Frames are indices from 0.

    The method asks every edit that is in effect; what a kind has nothing to say about keeps the answer of this class.
    """

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def parse(cls, arguments: Arguments) -> Self:
        """Raises InputError if an argument is missing or wrong."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The arguments, as `parse` reads them; frames counted from 1."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What it does, in words."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that it is about."""
        return ()

    @property
    def last_frame(self) -> int:
        """The largest index of a frame that it names."""
        return 0

    @property
    def named_tracks(self) -> tuple[int | None, tuple[int, ...]]:
        """A frame, and the ids of tracks that it expects there; None if it names no tracks."""
        return None, ()

    # -- which frames come out otherwise ------------------------------------------------------------------------------

    reads_tracks: ClassVar[bool] = False  # whether what it does to the Gaussians depends on where the sparse tracks are

    def changes_gaussians(self, frame: int) -> bool:
        """Whether it acts on how the Gaussians are moved to this frame and refined. What follows in later frames is not its matter."""
        return False

    def changes_fit(self, frame: int) -> bool:
        """Whether it acts on how this frame is fitted, if it is one that is fitted from scratch."""
        return False

    def changes_tracks(self, frame: int) -> bool:
        """Whether it acts on the sparse tracks of this frame, beyond what the Gaussians do to them."""
        return False

    # -- what the method asks -----------------------------------------------------------------------------------------

    def drops_view(self, camera: str, frame: int) -> bool:
        """Whether the tracks of a camera have no weight in the motion to this frame."""
        return False

    def drops_camera(self, camera: str, frame: int) -> bool:
        """Whether the images of a camera are not used for anything but tracks in this frame."""
        return False

    def tracker(self, frame: int) -> str | None:
        """The tracker of all tracks to this frame, in place of the run's; None: no other one."""
        return None

    def hand_points(self, frame: int) -> tuple[HandPoint, ...]:
        """What was put into place by hand in this frame."""
        return ()

    def change_tracks(self, state: FollowedTracks, at: FrameTracks) -> FollowedTracks:
        """The sparse tracks of one frame after this edit; `changes_tracks` is true for it."""
        return state
