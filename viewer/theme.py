"""Colours, type scale and spacing of the page: once. The page's own components read them as CSS variables."""

from __future__ import annotations

COLOURS = {
    "bg": "#14171c", "surface": "#1b1f26", "raised": "#232932", "line": "#323a46",
    "text": "#e6e9ee", "muted": "#9aa4b2", "accent": "#5aa9f0", "good": "#56b4a0", "warn": "#e0a458", "bad": "#e0716c",
}  # fmt: skip

# Okabe and Ito's palette, which people who confuse colours can tell apart; in the order of diagnosis.Category.
CATEGORY_COLOURS = ("#7d8794", "#56b4e9", "#0072b2", "#e69f00", "#cc79a7", "#f0e442", "#d55e00", "#009e73", "#b0b7c1", "#ffffff")

SIZES = {"small": 11, "body": 12, "title": 13}  # pixels
SPACES = (4, 8, 12)  # pixels


def css() -> str:
    """The style sheet of the page."""
    variables = "".join(f"--{name}:{colour};" for name, colour in COLOURS.items())
    return f":root{{{variables}}}" + _SHEET


_SHEET = """
html, body { background: var(--bg); color: var(--text); font: 12px/1.45 Inter, "Segoe UI", system-ui, -apple-system, Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; margin: 0; overflow: hidden; overscroll-behavior: none; }
.nicegui-content { padding: 0; gap: 0; width: 100vw; height: 100vh; }
.ts-bar { display: flex; align-items: center; gap: 8px; height: 34px; padding: 0 10px; background: var(--surface); border-bottom: 1px solid var(--line); white-space: nowrap; overflow: hidden; }
.ts-title { font-size: 13px; font-weight: 600; }
.ts-small { font-size: 11px; }
.ts-muted { color: var(--muted); }
.ts-good { color: var(--good); } .ts-warn { color: var(--warn); } .ts-bad { color: var(--bad); }
.ts-panel { background: var(--surface); color: var(--text); height: 100%; width: 100%; overflow: auto; padding: 8px 10px; }
.ts-problem { background: #e0716c22; border-left: 3px solid var(--bad); padding: 6px 10px; border-radius: 3px; overflow-wrap: anywhere; }
.ts-note { background: #5aa9f018; border-left: 3px solid var(--accent); padding: 6px 10px; border-radius: 3px; overflow-wrap: anywhere; }
.ts-row { display: flex; align-items: center; gap: 8px; flex-wrap: wrap; }
.ts-key { border: 1px solid var(--line); border-radius: 3px; padding: 0 5px; font-size: 11px; background: var(--raised); }
.ts-ellipsis { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0; }
.q-btn { font-size: 12px; min-height: 26px; padding: 0 8px; text-transform: none; letter-spacing: 0; font-weight: 500; }
.q-btn--dense { min-height: 24px; padding: 0 6px; }
.q-field--dense .q-field__control, .q-field--dense .q-field__marginal { height: 28px; min-height: 28px; }
.q-field__native, .q-field__label, .q-item { font-size: 12px; min-height: 26px; }
.q-tab { min-height: 30px; padding: 0 10px; text-transform: none; } .q-tab__label { font-size: 12px; }
.q-tabs { min-height: 30px; }
.q-tab-panel { padding: 0; }
.q-splitter__separator { background: var(--line); }
.q-tooltip { font-size: 11px; background: #000d; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
.ag-theme-balham-dark, .ag-theme-balham { --ag-background-color: var(--surface); --ag-odd-row-background-color: var(--surface); --ag-header-background-color: var(--raised);
  --ag-foreground-color: var(--text); --ag-border-color: var(--line); --ag-font-size: 11px; --ag-selected-row-background-color: #5aa9f033; }
iframe { border: 0; display: block; width: 100%; height: 100%; background: var(--bg); }
"""
