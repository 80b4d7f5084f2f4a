"""The style sheet that the panels about tracks share."""

from __future__ import annotations

from nicegui import ui

from viewer import theme


def add_style() -> None:
    """For the page that is being built."""
    marks = "".join(f".ts-cat-{number}::before{{background:{colour}}}" for number, colour in enumerate(theme.CATEGORY_COLOURS))
    ui.add_css(_SHEET + marks)


_SHEET = """
.ts-tracks { display: flex; flex-direction: column; gap: 6px; overflow: hidden; padding: 8px; }
.ts-tracks > * { flex: none; }
.ts-tracks-head { gap: 4px; }
.ts-tracks .ts-grid { flex: 1; min-height: 120px; height: auto; }
.ts-chips { gap: 4px; }
.ts-chip { display: inline-flex; align-items: center; gap: 5px; height: 22px; padding: 0 7px; border-radius: 11px; cursor: pointer; font: inherit; font-size: 11px;
  color: var(--text); background: var(--raised); border: 1px solid var(--line); }
.ts-chip:hover { border-color: var(--muted); }
.ts-chip.on { border-color: var(--accent); background: #5aa9f02e; }
.ts-chip-count { color: var(--muted); }
.ts-mark { display: inline-block; flex: none; width: 9px; height: 9px; border-radius: 2px; }
.ts-triage { gap: 4px; max-height: 168px; overflow: auto; flex-wrap: nowrap; }
.ts-triage-row { width: 100%; padding: 4px 8px 6px; background: var(--raised); border-radius: 3px; font-size: 11px; line-height: 1.4; }
.ts-triage-row .row { gap: 6px; font-size: 12px; }
.ts-triage-row .q-btn { margin-top: 3px; }
.ts-grid { --ag-background-color: var(--surface); --ag-foreground-color: var(--text); --ag-header-background-color: var(--raised);
  --ag-odd-row-background-color: var(--surface); --ag-border-color: var(--line); --ag-row-border: none; --ag-wrapper-border: 1px solid var(--line);
  --ag-font-size: 11px; --ag-header-font-size: 11px; --ag-font-family: Roboto, sans-serif; --ag-cell-horizontal-padding: 5px; --ag-spacing: 4px;
  --ag-selected-row-background-color: #5aa9f033; --ag-row-hover-color: #5aa9f014; --ag-wrapper-border-radius: 3px;
  --ag-range-selection-border-color: transparent; --ag-header-text-color: var(--muted); --ag-icon-size: 12px; }
.ts-grid .ag-cell { line-height: 20px; font-variant-numeric: tabular-nums; }
.ts-grid .ts-number { text-align: right; }
.ts-grid .ag-header-cell.ts-number .ag-header-cell-label { flex-direction: row-reverse; }
.ts-grid .ts-number .ag-header-cell-text { text-align: right; }
.ts-grid .ag-pinned-left-cols-container .ag-row-selected { box-shadow: inset 2px 0 var(--accent); }
.ts-grid .ts-cat::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 2px; margin-right: 5px; }
.ts-heat { width: 100%; } .ts-heat-box, .ts-curve-box { contain: inline-size; position: relative; width: 100%; cursor: crosshair; touch-action: none; }
.ts-heat-box canvas, .ts-curve-box canvas { display: block; }
.ts-heat-tip { position: absolute; z-index: 5; pointer-events: none; width: max-content; max-width: 190px; padding: 4px 7px; border-radius: 3px; font-size: 11px; line-height: 1.35;
  background: #000d; border: 1px solid var(--line); }
.ts-heat-tip b { display: block; font-weight: 600; } .ts-heat-tip span { color: var(--text); }
.ts-heat-scale { display: flex; align-items: center; gap: 6px; font-size: 11px; color: var(--muted); padding-top: 4px; }
.ts-heat-scale canvas { width: 120px; height: 8px; border-radius: 2px; border: 1px solid var(--line); }
.ts-heat-scale i { width: 12px; height: 8px; margin-left: 10px; border: 1px solid var(--line); background: repeating-linear-gradient(135deg, var(--line) 0 1px, transparent 1px 4px); }
.ts-residuals { display: flex; flex-direction: column; gap: 8px; }
.ts-residuals > * { flex: none; }
.ts-finding { width: 100%; padding: 6px 8px; background: var(--raised); border-left: 3px solid var(--bad); border-radius: 3px; }
.ts-track { display: flex; flex-direction: column; gap: 8px; }
.ts-track > * { flex: none; width: 100%; }
.ts-panel .q-btn .q-icon { font-size: 17px; }
.ts-track-head { display: flex; align-items: center; gap: 6px; }
.ts-section { color: var(--muted); font-size: 11px; font-weight: 600; margin-top: 2px; }
.ts-curve-legend { display: flex; flex-wrap: wrap; gap: 2px 10px; font-size: 11px; color: var(--muted); padding: 2px 0; }
.ts-curve-legend i { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 4px; }
.ts-film { overflow: auto; max-height: 190px; scrollbar-width: thin; contain: inline-size; }
.ts-film thead th { position: sticky; top: 0; z-index: 1; background: var(--surface); }
.ts-film table { border-collapse: separate; border-spacing: 2px; font-size: 11px; }
.ts-film th { font-weight: 400; color: var(--muted); padding: 0; text-align: center; }
.ts-film thead th:first-child { z-index: 3; }
.ts-film tbody th, .ts-film thead th:first-child { position: sticky; left: 0; z-index: 2; background: var(--surface); text-align: left; padding-right: 6px; max-width: 64px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.ts-film thead th.now { color: var(--accent); font-weight: 600; }
.ts-film td { padding: 0; } .ts-film button, .ts-film .gap { position: relative; display: block; width: 44px; height: 44px; padding: 0; border: 0; border-radius: 2px; cursor: pointer; background-color: var(--line); }
.ts-film button::after { content: ""; position: absolute; left: 0; right: 0; bottom: 0; height: 3px; background: var(--state); }
.ts-film button i { position: absolute; inset: 0; background: linear-gradient(#fff, #fff) 50% calc(50% - 6px) / 1px 6px no-repeat, linear-gradient(#fff, #fff) 50% calc(50% + 6px) / 1px 6px no-repeat,
  linear-gradient(#fff, #fff) calc(50% - 6px) 50% / 6px 1px no-repeat, linear-gradient(#fff, #fff) calc(50% + 6px) 50% / 6px 1px no-repeat; mix-blend-mode: difference; opacity: .8; }
.ts-film button.now { outline: 2px solid var(--accent); outline-offset: -1px; z-index: 1; }
.ts-film .gap { cursor: default; background: repeating-linear-gradient(135deg, var(--line) 0 1px, transparent 1px 5px); }
.ts-actions { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 4px; }
.ts-actions .q-btn { justify-content: flex-start; } .ts-actions .q-btn__content { flex-wrap: nowrap; justify-content: flex-start; text-align: left; }
.ts-evidence { width: 100%; border-collapse: collapse; font-size: 11px; }
.ts-evidence th { text-align: left; color: var(--muted); font-weight: 400; padding: 2px 4px; border-bottom: 1px solid var(--line); white-space: nowrap; }
.ts-evidence td { padding: 2px 4px; border-bottom: 1px solid #323a4666; } .ts-evidence .number { text-align: right; }
.ts-evidence td:first-child { min-width: 168px; }
.ts-evidence .unit { color: var(--muted); white-space: nowrap; } .ts-evidence .absent { white-space: normal; } .ts-evidence .number { padding-right: 0; }
.ts-evidence .rank { color: var(--muted); white-space: nowrap; text-align: right; width: 76px; } .ts-evidence .rank span { display: inline-block; width: 32px; }
.ts-evidence .rank i { display: inline-block; width: 28px; height: 6px; margin-right: 5px; background: var(--line); border-radius: 1px; overflow: hidden; } .ts-evidence .rank b { display: block; height: 100%; background: var(--muted); }
.ts-evidence .unusual td:first-child, .ts-evidence .unusual .number { color: var(--bad); } .ts-evidence .unusual .rank b { background: var(--bad); }
.ts-edits { display: flex; flex-direction: column; gap: 1px; max-height: 150px; overflow: auto; font-size: 11px; }
.ts-edit { display: flex; gap: 6px; padding: 1px 4px; } .ts-edit.undone { color: var(--muted); text-decoration: line-through; }
"""
