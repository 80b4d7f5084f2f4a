"""Small pieces of HTML for the panels. Everything that comes from a file or an exception goes through ``text``."""

from __future__ import annotations

import html

from viewer.state import State

MUTED = "#8b949e"
GOOD = "#5fb37a"
WARN = "#e0a458"
BAD = "#e5746b"
ACCENT = "#4c9be8"


def text(value: object) -> str:
    """Escaped for HTML, quotes included."""
    return html.escape(str(value), quote=True)


def note(sentence: str, colour: str = MUTED) -> str:
    """One quiet line; ``sentence`` is escaped."""
    return f'<div style="font-size:12px;line-height:1.45;color:{colour};padding:2px 12px">{text(sentence)}</div>'


def box(sentence: str, colour: str) -> str:
    """A sentence that must be seen; escaped."""
    return (
        f'<div role="alert" style="font-size:12px;line-height:1.45;margin:4px 12px;padding:7px 10px;border-radius:4px;'
        f'border-left:3px solid {colour};background:{colour}22;overflow-wrap:anywhere">{text(sentence)}</div>'
    )


def problems(state: State) -> str:
    """All that is wrong at the moment, or nothing."""
    return "".join(box(sentence, BAD) for _, sentence in state.problems)


# Of a page that is high enough, what the plot above leaves.
_TABLE_HEIGHT = "max(200px,calc(100vh - 345px))"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]], marked: int | None = None) -> str:
    """Right-aligned columns of plain text with a head that stays; ``marked`` is the index of a highlighted row."""
    cell = "padding:2px 6px;text-align:right;white-space:nowrap"
    above = "padding:2px 6px;text-align:right;vertical-align:bottom;line-height:1.3"  # long headings wrap
    top = "".join(f'<th style="{above};position:sticky;top:0;background:#1f2226;font-weight:600">{text(h)}</th>' for h in head)
    body = ""
    for index, row in enumerate(rows):
        style = f"background:{ACCENT}33" if index == marked else ""
        body += f'<tr style="{style}">' + "".join(f'<td style="{cell}">{text(value)}</td>' for value in row) + "</tr>"
    return (
        f'<div style="max-height:{_TABLE_HEIGHT};overflow:auto;margin:2px 8px">'
        '<table style="width:100%;border-collapse:collapse;font-size:12px;font-variant-numeric:tabular-nums">'
        f'<thead style="color:{MUTED}"><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )
