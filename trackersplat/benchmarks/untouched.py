"""Whether an edit changes anything but what is selected: bytes of all other Gaussians, in all frames, and of all after undo."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trackersplat.document.document import Document
from trackersplat.document.kinds.delete import Delete
from trackersplat.document.scene_edit import Target
from trackersplat.document.selection import Selection
from trackersplat.gaussians.gaussians import Gaussians


@dataclass(frozen=True)
class Untouched:
    """Counted over all frames."""

    deleted: int  # rows
    others: int  # rows that must be as they were
    changed: int  # frames in which they are not
    not_undone: int  # frames that are others after undo

    def sentence(self) -> str:
        return (
            f"{self.deleted:,} rows deleted; {self.others:,} others differ in {self.changed} frames; "
            f"after undo, {self.not_undone} frames differ"
        )


def delete_and_undo(document: Document, selection: Selection) -> Untouched:
    """Deletes the selection in all frames, compares, and takes it back. Bits are compared, so nan equals nan and -0 is not 0."""
    deleted = others = changed = not_undone = 0
    document.do(Delete(Target.of(selection)))
    for frame in document.frames:
        mask = torch.from_numpy(selection.mask(document.original_ids(frame)))
        deleted, others = deleted + int(mask.sum()), others + int((~mask).sum())
        changed += not same_bits(document.gaussians(frame), document.original(frame)[~mask])
    document.undo()
    for frame in document.frames:
        not_undone += not same_bits(document.gaussians(frame), document.original(frame))
    return Untouched(deleted, others, changed, not_undone)


def same_bits(one: Gaussians, other: Gaussians) -> bool:
    pairs = [(one.tensors()[name], tensor) for name, tensor in other.tensors().items()]
    return all(a.shape == b.shape and torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32)) for a, b in pairs)
