"""What ``trackersplat edit`` prints."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from trackersplat.commands.terminal import print_warnings
from trackersplat.document.attributes import ATTRIBUTES
from trackersplat.document.document import Document
from trackersplat.document.registry import SCENE_EDITS
from trackersplat.document.selecting.registry import WAYS


def print_document(document: Document) -> None:
    """The history, what is in effect, the groups, the clip, and what does not fit any more."""
    console, history = Console(highlight=False, soft_wrap=True), document.history
    if not history.entries:
        console.print(f"{escape(str(document.run.path))} has no edits of the scene.")
    for index, entry in enumerate(history.entries):
        state = "" if index < history.position else "  (undone)"
        console.print(f"  {index + 1:>4}  {escape(entry.time)}  {entry.edit.kind:<13}  {escape(entry.label)}{state}")
    for group in document.groups.values():
        console.print(f"group {escape(group.name)}: {len(group.selection):,} Gaussians")
    frames = document.frames
    if frames != document.run.frames():
        console.print(f"clip: {len(frames):,} frames, from frame {frames[0] + 1} to frame {frames[-1] + 1} of the run")
    if document.warnings:
        print_warnings(document.warnings, console)


def print_scene_kinds() -> None:
    """What a file for `trackersplat edit --apply` may hold."""
    console = Console(highlight=False, soft_wrap=True)
    for key, registry in (("edit", SCENE_EDITS), ("way", WAYS)):
        console.print(f'{{"{key}": NAME, ...}}')
        for facts in registry:
            console.print(f"  {escape(facts.name)} {escape(facts.arguments)}\n      {escape(facts.title)}")
    console.print("attributes")
    for attribute in ATTRIBUTES:
        unit = f" ({attribute.unit})" if attribute.unit else ""
        console.print(f"  {escape(attribute.name)}{escape(unit)}\n      {escape(attribute.title)}")
