"""What a reconstruction would do, before it starts: which frames, from what, into which run, how long. No toolkit."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trackersplat.checks.findings import name_frames
from trackersplat.errors import InputError
from trackersplat.words import counted
from viewer.jobs import Options
from viewer.progress import Pace, duration

if TYPE_CHECKING:
    from trackersplat.store.run import Run

FAR = 3  # frames between a frame and its base from which it is said that they are far apart


@dataclass(frozen=True)
class Preset:
    """A documented set of options. The rest stays as the command line has it."""

    name: str
    title: str
    hint: str
    options: Options


PRESETS = (
    Preset(
        "draft",
        "Draft",
        "To see whether it works: 300 steps for a first frame, 30 for every other, no render-and-match.",
        Options(steps=30, first_steps=300, match_rounds=0),
    ),
    Preset("standard", "Standard", "As `trackersplat reconstruct` without options.", Options()),
    Preset(
        "best",
        "Best",
        "3000 steps for a first frame, 400 for every other, two rounds of render-and-match. It takes several times as long.",
        Options(steps=400, first_steps=3000, match_rounds=2),
    ),
)


@dataclass(frozen=True)
class Target:
    """A run folder that a reconstruction may go into."""

    path: Path
    frames: tuple[int, ...] = ()
    options: Options | None = None  # those of the run that is there, which it must be continued with; None: a new run
    stale: frozenset[int] = frozenset()  # of its frames, those that an edit has made out of date

    @property
    def is_new(self) -> bool:
        return self.options is None

    def title(self) -> str:
        count = len(self.frames)
        return f"New run: {self.path}" if self.is_new else f"{self.path} ({counted(count, 'frame')})"


@dataclass(frozen=True)
class Plan:
    """``refused`` says why it cannot be started, if so; ``better`` are the frames (first, last) that would serve better."""

    asked: tuple[int, int]
    target: Target
    options: Options
    frames: tuple[int, ...] = ()  # that will be made, in order
    scratch: tuple[int, ...] = ()  # of them, those fitted from scratch
    seconds: float | None = None
    sentences: tuple[str, ...] = ()
    warning: str = ""
    better: tuple[int, int] | None = None
    refused: str = ""
    redo: bool = False  # the frames are there: they are made again, in place


def make_plan(
    asked: tuple[int, int], target: Target, options: Options, paces: Sequence[tuple[str, Pace]] = (), waiting: Collection[int] = ()
) -> Plan:
    """``paces``: what frames took, by where it was measured, the most fitting first. ``waiting``: frames that jobs before it will make."""
    from trackersplat.jobs.plan import plan_batches

    present = sorted({*target.frames, *waiting})
    batches = plan_batches(range(asked[0], asked[1] + 1), present, options.batch or 1)
    frames = tuple(frame for batch in batches for frame in batch.targets)
    scratch = tuple(frame for batch in batches if batch.base is None for frame in batch.targets)
    plan = Plan(asked, target, options, frames, scratch)
    stale = _stale(asked, target, waiting)
    if not frames and stale:
        return plan_again(asked, target, options, paces, waiting)
    if not frames:
        asked_for = _capital(name_frames(range(asked[0], asked[1] + 1)))
        there = "in the queue or there already" if waiting else "there already"
        return replace(plan, refused=f"{asked_for} {'is' if asked[0] == asked[1] else 'are'} {there}; nothing would be done.")
    sentences = [_what(frames, len(present) and asked[1] - asked[0] + 1 - len(frames))]
    if stale:
        sentences.append(f"{_capital(name_frames(stale))}, which edits have made out of date, {_is(stale)} made again in another job.")
    warning, better = "", None
    base = batches[0].base
    if base is not None:
        sentences.append(f"They follow from frame {base + 1}." if len(frames) > 1 else f"It follows from frame {base + 1}.")
        if frames[0] - base > FAR:
            warning = (
                f"Frame {base + 1}, where it starts from, is {frames[0] - base} frames before: tracks over so many frames are often lost."
            )
            better = (base + 1, asked[1])
    elif frames[0] > 0:
        warning = (
            f"There is no earlier frame in this run, so frame {frames[0] + 1} would be fitted from scratch, without the frames before it. "
            "Usually a run begins with frame 1."
        )
        better = (0, asked[1])
    else:
        sentences.append(
            "Frame 1 is fitted from scratch, the others follow from it."
            if len(frames) > 1
            else "It is fitted from scratch, as every first frame."
        )
    where, seconds = _time(paces, len(scratch), len(frames) - len(scratch))
    if seconds is not None:
        sentences.append(f"About {duration(seconds)}, by what {where} took.")
    else:
        sentences.append("How long it takes is not known before the first frame is done.")
    return replace(plan, sentences=tuple(sentences), warning=warning, better=better, seconds=seconds)


def plan_again(
    asked: tuple[int, int], target: Target, options: Options, paces: Sequence[tuple[str, Pace]] = (), waiting: Collection[int] = ()
) -> Plan:
    """To make those frames of a range again that edits have made out of date, and no others. Arguments as of `make_plan`."""
    stale = _stale(asked, target, waiting)
    plan = Plan(asked, target, options, stale, redo=True)
    if not stale:
        return replace(plan, refused="No frame that is there is out of date; nothing would be done.")
    sentences = [f"{_capital(name_frames(stale))} {_is(stale)} made again, with the edits that came after {_them(stale)}."]
    later = sorted(frame for frame in plan.target.stale if frame > stale[-1])
    if later:
        sentences.append(f"{_capital(name_frames(later))} {_is(later)} out of date, too, and {'stays' if len(later) == 1 else 'stay'} so.")
    where, seconds = _time(paces, 0, len(stale))
    if seconds is not None:
        sentences.append(f"About {duration(seconds)}, by what {where} took.")
    return replace(plan, sentences=tuple(sentences), seconds=seconds)


def _stale(asked: tuple[int, int], target: Target, waiting: Collection[int]) -> tuple[int, ...]:
    return tuple(sorted(frame for frame in target.stale - set(waiting) if asked[0] <= frame <= asked[1]))


def _is(frames: Sequence[int]) -> str:
    return "is" if len(frames) == 1 else "are"


def _them(frames: Sequence[int]) -> str:
    return "it" if len(frames) == 1 else "them"


def new_folder(out: Path, taken: Collection[Path] = ()) -> Path:
    """``out`` if nothing is there, else out-2, out-3 and so on."""
    numbered = (out if number == 1 else out.with_name(f"{out.name}-{number}") for number in itertools.count(1))
    return next(path for path in numbered if path not in taken and _is_free(path))


def _is_free(path: Path) -> bool:
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def why_fixed(run: Run) -> str | None:
    """Why a run cannot be continued; None if it can."""
    if not run.is_verifiable:
        return f"{run.path} does not say from which images it was made, so it cannot be continued."
    if not os.access(run.path, os.W_OK):
        return f"{run.path} cannot be written."
    if not run.settings:
        return f"{run.path} does not say by which settings it was made."
    return None


def why_not_continued(run: Run) -> str | None:
    """As `why_fixed`, or why its settings cannot be used any more."""
    why = why_fixed(run)
    if why is not None:
        return why
    try:
        options_of(run.settings)
    except InputError as error:
        return f"{run.path} cannot be continued. {error}"
    return None


def options_of(settings: Mapping[str, Any], held_out: object = None, of_capture: Sequence[str] = ()) -> Options:
    """The options that a run with these settings was made by. Raises InputError if a setting is missing."""
    try:
        names = [str(name) for name in held_out] if isinstance(held_out, list) else list(of_capture)
        return Options(
            pipeline=_text(settings["pipeline"]),
            tracker=_text(settings["tracker"]),
            tracking="fast" if settings["motion"]["agreement"] is None else "accurate",
            steps=int(settings["refine"]["steps"]),
            first_steps=int(settings["first"]["steps"]),
            batch=int(settings["batch"]),
            match_rounds=int(settings["motion"]["render_and_match"]["match_rounds"]),
            seed=int(settings["seed"]),
            points=_text(settings["first"]["points"]["strategy"]),
            densify=_text(settings["first"]["densify"]["strategy"]),
            refinement=_text(settings["refinement"]),
            hold_out=None if sorted(names) == sorted(of_capture) or not names else ",".join(names),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The settings of this run are not those of this version ({error}): start a new run.") from error


def _text(value: Any) -> str:
    text = str(value)
    if text.startswith("-") or not text.isprintable() or len(text) > 100:
        raise ValueError(f"not a name: {text[:100]!r}")
    return text


def _what(frames: tuple[int, ...], there: int) -> str:
    rest = f"; {there} of the frames asked for {'is' if there == 1 else 'are'} there already" if there else ""
    return f"{_capital(name_frames(frames))} will be reconstructed{rest}."


def _time(paces: Sequence[tuple[str, Pace]], first: int, moved: int) -> tuple[str, float | None]:
    for where, pace in paces:
        seconds = pace.seconds(first, moved)
        if seconds is not None:
            return where, seconds
    return "", None


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
