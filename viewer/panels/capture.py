"""The "Capture" tab: what the capture is, what its reader warns about, and what a check finds wrong with it."""

from __future__ import annotations

import threading

import viser

from trackersplat.captures.capture import Capture
from trackersplat.captures.summary import describe
from trackersplat.checks.events import Checked, Step
from trackersplat.checks.findings import SEVERITIES, Finding, Report, name_frames
from trackersplat.checks.summary import CAPTION, COLUMNS, cells
from trackersplat.events import Event, Failed, Finished
from viewer.jobs import CHECK, Job, check_command
from viewer.panels.html import ACCENT, BAD, GOOD, MUTED, WARN, box, note, table, text
from viewer.panels.panel import Panel, PanelContext
from viewer.panels.widgets import assign

COLOURS = {"problem": BAD, "warning": WARN, "note": ACCENT}
HIDDEN = ("frames", "broken", "blur")  # columns that the narrow panel leaves to the findings and the command line
# Where each part of a check begins and ends on the progress bar, in percent: about what it takes.
PARTS = {"reading frames": (0.0, 60.0), "matching points": (60.0, 95.0), "measuring": (95.0, 100.0)}


class CapturePanel(Panel):
    """One check at a time, in a worker process. It changes the store only to show what a finding is about."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        gui, capture = context.gui, context.capture
        self._names = [camera.name for camera in capture.cameras]
        self._source = context.arguments.path
        self._job: Job[Event] | None = None
        self._report: Report | None = None
        self._places: dict[str, tuple[str, int | None]] = {}
        self._starting = threading.Lock()  # two tabs, or a double click

        gui.add_html(facts(capture) + "".join(box(warning, WARN) for warning in capture.warnings))
        self._start = gui.add_button("Check capture", icon=viser.Icon.STETHOSCOPE, hint="Looks for what is wrong; changes nothing")
        self._cancel = gui.add_button("Cancel", icon=viser.Icon.PLAYER_STOP, color="red", visible=False)
        self._bar = gui.add_progress_bar(0.0, visible=False)
        self._go = gui.add_dropdown(
            "Go to", (NOWHERE,), initial_value=NOWHERE, visible=False, hint="The photograph that a finding is about"
        )
        self._status = gui.add_html(note(EXPLANATION))
        self._start.on_click(lambda _: self.start())
        self._cancel.on_click(lambda _: self.cancel())
        self._go.on_update(lambda _: self._go_there())
        gui.add_command("Check capture").on_trigger(lambda _: self.start())

    @property
    def running(self) -> bool:
        return self._job is not None and self._job.running

    @property
    def report(self) -> Report | None:
        """Of the last check that came to its end."""
        return self._report

    def start(self) -> None:
        """Starts the worker; does nothing while one is at work."""
        with self._starting:
            if self.running:
                return
            self._show_running(True)
            self._go.visible = False
            self._report = None
            assign(self._bar, 0.0)
            self._status.content = note("Starting the worker process …")
            try:
                self._job = Job(check_command(self._source), self._handle, CHECK)
            except OSError as error:
                self._show_running(False)
                self._status.content = box(f"The check could not be started: {error}.", BAD)

    def cancel(self) -> None:
        if self._job is not None and self._job.running:
            self._cancel.disabled = True
            self._status.content = note("Cancelling …")
            self._job.cancel()

    def close(self) -> None:
        if self._job is not None and self._job.running:
            self._job.close()

    def _show_running(self, running: bool) -> None:
        self._start.visible = not running
        self._cancel.disabled = False
        self._cancel.visible = self._bar.visible = running

    def _handle(self, event: Event) -> None:
        """On the job's thread."""
        match event:
            case Step(name=name, done=done, total=total):
                first, last = PARTS.get(name, (0.0, 100.0))
                assign(self._bar, round(first + (last - first) * done / max(total, 1), 1))
                self._status.content = note(f"{name.capitalize()} …")
            case Checked(report=report):
                self._report = report
            case Finished():
                self._show_running(False)
                if self._report is not None:
                    self._show(self._report)
            case Failed(message=message):
                self._show_running(False)
                with self._starting:  # an end that comes at once must see its job
                    cancelled = self._job is not None and self._job.outcome == "cancelled"
                self._status.content = box(message, MUTED if cancelled else BAD)

    def _show(self, report: Report) -> None:
        self._status.content = findings_html(report)
        self._places = places(report)
        self._go.options = (NOWHERE, *self._places)
        assign(self._go, NOWHERE)
        self._go.visible = bool(self._places)

    def _go_there(self) -> None:
        place = self._places.get(self._go.value)
        if place is not None:
            name, frame = place
            now = {} if frame is None else {"frame": frame}
            self._store.set(camera=self._names.index(name), compare="photo", playing=False, **now)


def places(report: Report) -> dict[str, tuple[str, int | None]]:
    """Of each finding about one camera that: its number, camera and first frame in words, and the camera and frame themselves."""
    found: dict[str, tuple[str, int | None]] = {}
    for number, finding in enumerate(report.findings, 1):
        if finding.camera is not None:
            frame = finding.frames[0] if finding.frames else None
            label = f"{number}: {finding.camera}" + ("" if frame is None else f", frame {frame + 1}")
            found[label] = (finding.camera, frame)
    return found


NOWHERE = "–"
EXPLANATION = (
    "Looks for missing, black, frozen and doubled frames, cameras out of step, poses that do not fit the images, "
    "and cameras whose focus, exposure or colours stand out."
)


def facts(capture: Capture) -> str:
    """What the capture is, in three lines."""
    known = describe(capture)
    sizes = ", ".join(f"{width} × {height}" for width, height in known.sizes[:3]) + (" …" if len(known.sizes) > 3 else "")
    lines = [
        f"<b>{text(known.name)}</b> <span>({text(known.layout)})</span>",
        f"{len(known.cameras)} cameras × {known.frame_count} frames, {text(sizes)} px, {known.fps:g} fps",
        f"Held out: {text(', '.join(known.held_out)) if known.held_out else 'no camera'}",
    ]
    return f'<div style="font-size:13px;line-height:1.55;padding:4px 12px;overflow-wrap:anywhere">{"<br>".join(lines)}</div>'


def findings_html(report: Report) -> str:
    """The verdict, one card per finding, and what was measured of each camera. Everything is escaped."""
    worst = next((severity for severity in SEVERITIES if report.count(severity)), None)
    colour = GOOD if worst is None else COLOURS[worst]
    verdict = report.verdict()
    head = (
        f'<div id="check" style="font-size:13px;line-height:1.55;padding:4px 12px">'
        f'<b style="color:{colour}">{text(verdict[:1].upper() + verdict[1:])}</b><br>'
        f'<span style="color:{MUTED}">{text(name_frames(report.frames).capitalize())} in {report.seconds:.1f} s</span></div>'
    )
    columns = [index for index, name in enumerate(COLUMNS) if name not in HIDDEN]
    rows = [tuple(cells(measures)[index] for index in columns) for measures in report.cameras]
    measured = table(tuple(COLUMNS[index].capitalize() for index in columns), rows)
    return (
        head
        + "".join(_card(number, finding) for number, finding in enumerate(report.findings, 1))
        + measured
        + note(CAPTION[:1].upper() + CAPTION[1:] + ".")
    )


def _card(number: int, finding: Finding) -> str:
    colour = COLOURS[finding.severity]
    return (
        f'<div style="font-size:12px;line-height:1.45;margin:4px 12px;padding:7px 10px;border-radius:4px;'
        f'border-left:3px solid {colour};background:{colour}22;overflow-wrap:anywhere">'
        f'<b style="color:{colour}">{number}: {finding.severity.capitalize()}</b> {text(finding.what)}'
        f'<div style="color:{MUTED};margin-top:3px">{text(finding.advice)}</div></div>'
    )
