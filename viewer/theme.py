"""Colours, type scale and spacing of the page: once. The page's own components read them as CSS variables."""

from __future__ import annotations

COLOURS = {
    "bg": "#14171c", "surface": "#1b1f26", "raised": "#232932", "line": "#323a46",
    "text": "#e6e9ee", "muted": "#9aa4b2", "accent": "#5aa9f0", "good": "#56b4a0", "warn": "#e0a458", "bad": "#e0716c",
}  # fmt: skip

# Okabe and Ito's palette, which people who confuse colours can tell apart; in the order of diagnosis.Category.
CATEGORY_COLOURS = ("#7d8794", "#56b4e9", "#0072b2", "#e69f00", "#cc79a7", "#f0e442", "#d55e00", "#009e73", "#b0b7c1", "#ffffff")


def css() -> str:
    """The style sheet of the page."""
    variables = "".join(f"--{name}:{colour};" for name, colour in COLOURS.items())
    return f":root{{{variables}}}" + _SHEET


_SHEET = """
html, body { background: var(--bg); color: var(--text);
  font: 12px/1.45 Inter, "Segoe UI", system-ui, -apple-system, Roboto,
  "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; margin: 0; overflow: hidden; overscroll-behavior: none; }
.nicegui-content { padding: 0; gap: 0; width: 100vw; height: 100vh; }
.w-full { width: 100%; }
.ts-bar { display: flex; align-items: center; gap: 8px; height: 34px; padding: 0 10px; background: var(--surface);
  border-bottom: 1px solid var(--line); white-space: nowrap; overflow: hidden; }
.ts-title { font-size: 13px; font-weight: 600; }
.ts-small { font-size: 11px; }
.ts-muted { color: var(--muted); }
.ts-good { color: var(--good); } .ts-warn { color: var(--warn); } .ts-bad { color: var(--bad); }
.ts-tools { width: 36px; flex: none; height: 100%; box-sizing: border-box; padding: 6px 3px; display: flex; flex-direction: column;
  gap: 2px;  background: var(--bg); border-right: 1px solid var(--line); overflow-y: auto; scrollbar-width: none; }
.ts-tools .q-btn { width: 30px; min-height: 30px; padding: 0; flex: none; } .ts-tools .q-icon { font-size: 18px; }
.ts-tools hr { width: 100%; margin: 4px 0; border: 0; border-top: 1px solid var(--line); flex: none; }
.ts-tools .ts-on { background: #5aa9f033; }
.ts-quad { display: grid; grid-template-columns: repeat(4, 1fr); gap: 4px; width: 100%; } .ts-quad .q-icon { font-size: 16px; }
.ts-sectioned { border-top: 1px solid var(--line); padding-top: 2px; }
.ts-sectioned > .q-expansion-item__container > .q-item { font-weight: 600; }
.ts-history .ts-item { padding: 2px 6px; gap: 6px; } .ts-undone { text-decoration: line-through; }
.q-notification.ts-notice { background: var(--raised) !important; color: var(--text); border: 1px solid var(--line);
  border-left: 3px solid var(--warn); box-shadow: 0 8px 30px #000a; font-size: 13px; max-width: min(640px, 92vw); }
.ts-notice .q-icon { color: var(--warn); } .ts-notice .q-btn { color: var(--accent); }
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
.ts-rail { width: 58px; flex: none; height: 100%; overflow-y: auto; overflow-x: hidden; border-left: 1px solid var(--line);
  background: var(--bg); scrollbar-width: none; container-type: size; }
.ts-rail .q-tab { min-height: 40px; padding: 0; color: var(--muted); }
.ts-rail .q-tab__icon { font-size: 18px; } .ts-rail .q-tab__label { font-size: 10px; line-height: 1.2; }
.ts-rail .q-tab__content { padding: 2px 0; min-width: 0; }
/* Too low for all panels: their names are left to tooltips and screen readers. */
@container (max-height: 489.9px) { .ts-rail .q-tab { min-height: 33px; }
  .ts-rail .q-tab__label { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); } }
.ts-panebar { container-type: inline-size; background: var(--surface); border-bottom: 1px solid var(--line); min-width: 0; }
.ts-panebar > div { display: flex; align-items: center; gap: 4px; padding: 2px 6px; min-width: 0; overflow: hidden; }
@container (max-width: 339.9px) { .ts-panebar > div { gap: 2px; padding: 2px 4px 2px 9px; }
  .ts-panebar .q-field__append { padding-left: 0; }
  .ts-panebar .q-select__dropdown-icon { font-size: 16px; } }
/* Too narrow for what can be chosen by key, too. */
@container (max-width: 219.9px) { .ts-panebar .ts-channel { display: none; } }
@container (max-width: 199.9px) { .ts-panebar .ts-compare { display: none; } }
.q-tab-panel { padding: 0; }
.q-splitter__separator { background: var(--line); }
.q-tooltip { font-size: 11px; background: #000d; max-width: 320px !important; white-space: pre-line; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
.q-dialog:focus-visible, .q-dialog__inner:focus-visible { outline: none; } /* it covers the page */
.ts-grid, .ts-track-grid { --ag-background-color: var(--surface); --ag-foreground-color: var(--text);
  --ag-header-background-color: var(--raised); --ag-odd-row-background-color: var(--surface); --ag-border-color: var(--line);
  --ag-row-border: none; --ag-wrapper-border: 1px solid var(--line); --ag-font-size: 11px; --ag-header-font-size: 11px;
  --ag-font-family: Roboto, sans-serif; --ag-cell-horizontal-padding: 5px; --ag-spacing: 4px;
  --ag-selected-row-background-color: #5aa9f033; --ag-row-hover-color: #5aa9f014; --ag-wrapper-border-radius: 3px;
  --ag-range-selection-border-color: transparent; --ag-header-text-color: var(--muted); --ag-icon-size: 12px; }
.ts-text { color: var(--text); } .ts-accent { color: var(--accent); }
.ts-warning { background: #e0a45822; border-left: 3px solid var(--warn); padding: 6px 10px; border-radius: 3px; overflow-wrap: anywhere; }
.ts-wrap { overflow-wrap: anywhere; }
.ts-stack { display: flex; flex-direction: column; gap: 8px; align-items: stretch; flex-wrap: nowrap; }
.q-field--labeled.q-field--dense .q-field__control, .q-field--labeled.q-field--dense .q-field__marginal { height: 40px;
  min-height: 40px; }
.q-field--labeled.q-field--dense.q-textarea .q-field__control { height: auto; }
.q-field--dense .q-field__label { font-size: 12px; color: var(--muted); }
.q-field--labeled.q-field--dense .q-field__native { min-height: 24px; padding-top: 14px; padding-bottom: 2px; }
.q-field--labeled.q-field--dense.q-select .q-field__control-container { padding-top: 14px; }
.q-field--labeled.q-field--dense.q-select .q-field__native { min-height: 22px; padding: 0; flex-wrap: nowrap; }
.q-field--labeled.q-field--dense.q-select .q-field__native > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  line-height: 18px; }
.w-full { width: 100%; min-width: 0; } .ts-panel { overflow-x: hidden; } .q-tab-panels, .q-tab-panel { min-width: 0; max-width: 100%; }
.ts-panel.ts-stack > * { flex-shrink: 0; }
.ts-card { background: var(--raised); border: 1px solid var(--line); border-radius: 4px; padding: 8px; gap: 4px; }
.ts-task { gap: 4px; border-top: 1px solid var(--line); padding-top: 4px; }
.ts-number { flex: 1 1 90px; min-width: 90px; } .ts-half { flex: 1 1 0; min-width: 0; } .ts-wide { grid-column: 1 / -1; min-width: 0; }
.ts-options { display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 8px; padding: 6px 0; }
.ts-options .ts-number { min-width: 0; }
.ts-facts { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; }
.ts-plot { width: 100%; height: 150px; } .ts-plot.ts-high { height: 190px; }
.ts-toggle { border: 1px solid var(--line); border-radius: 4px; } .ts-toggle .q-btn { min-height: 24px; padding: 0 6px; }
.ts-expansion .q-item { min-height: 26px; padding: 0; } .ts-expansion .q-expansion-item__content { padding: 0; }
.ts-menu { max-width: 90vw; }
.ts-runs { gap: 0; padding: 4px 0; max-width: 520px; }
.ts-runitem { gap: 6px; align-items: center; min-height: 34px; }
.ts-run { max-width: 220px; }
.ts-run .q-btn__content { flex-wrap: nowrap; flex-direction: row-reverse; }
.ts-run .block { overflow: hidden; text-overflow: ellipsis; }
.ts-cell { padding: 0 4px !important; font-variant-numeric: tabular-nums; }
.ts-grid .ag-header-cell { padding: 0 3px !important; font-size: 10.5px; font-weight: 500; line-height: 1.15; }
.ts-grid .ag-header-cell-text { word-break: normal; overflow-wrap: normal; }
.q-dialog .q-card { background: var(--surface); border: 1px solid var(--line); box-shadow: 0 8px 30px #000a; padding: 12px; }
.ts-palette { width: min(640px, 94vw); max-width: none !important; margin-top: 48px !important; }
.ts-list { max-height: min(60vh, 480px); overflow: auto; }
.ts-item { display: flex; align-items: center; gap: 10px; padding: 4px 8px; border-radius: 3px; cursor: pointer; white-space: nowrap;
  overflow: hidden; }
.ts-item:hover { background: var(--raised); }
.ts-chosen { background: #5aa9f033 !important; }
.ts-off { opacity: 0.75; }
.ts-group { width: 78px; flex: none; }
.ts-keys { display: inline-flex; gap: 3px; flex: none; margin-left: auto; }
.ts-sheet { width: min(1040px, 94vw); max-width: none !important; max-height: 88vh; }
.ts-columns { columns: 3 280px; column-gap: 24px; overflow: auto; }
.ts-keygroup { break-inside: avoid-column; margin-bottom: 12px; }
.ts-keyrow { display: flex; gap: 8px; align-items: center; padding: 2px 0; border-bottom: 1px solid #323a4680; }
.ts-log { width: min(900px, 94vw); max-width: none !important; max-height: 88vh; }
.ts-lines { white-space: pre-wrap; overflow: auto; overflow-wrap: anywhere;
  font: 11px/1.5 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; background: var(--bg); padding: 8px; border-radius: 3px; }
iframe { border: 0; display: block; width: 100%; height: 100%; background: var(--bg); }
"""
