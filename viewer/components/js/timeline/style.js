// The style sheet, and colours where the page has none.

import { BAND, NUMBERS } from "./sizes.js";

export const FALLBACKS = {
  "--bg": "#14171c", "--surface": "#1b1f26", "--raised": "#232932", "--line": "#323a46", "--text": "#e6e9ee", "--muted": "#9aa4b2",
  "--accent": "#5aa9f0", "--good": "#56b4a0", "--warn": "#e0a458", "--bad": "#e0716c",
};

export const STYLE = `
.timeline { position: relative; width: 100%; height: 100%; min-height: 0; overflow: hidden; background: var(--surface, #1b1f26);
  user-select: none; -webkit-user-select: none; font-family: var(--font, system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif); }
.timeline canvas { position: absolute; left: 0; top: 0; width: 100%; height: 100%; pointer-events: none; }
.timeline-cursor { position: absolute; left: 0; top: 0; pointer-events: none; will-change: transform; background: var(--accent, #5aa9f0); }
.timeline-surface { position: absolute; inset: 0; touch-action: none; outline: none; }
.timeline-surface:focus-visible { outline: 2px solid var(--accent, #5aa9f0); outline-offset: -2px; }
.timeline-run { position: absolute; top: ${NUMBERS}px; height: ${BAND - 1}px; padding: 0 6px; border: 0; border-radius: 3px;
  font-family: inherit; font-size: 11px; font-weight: 600; line-height: ${BAND - 1}px; white-space: nowrap; cursor: pointer; color: var(--bg, #14171c);
  background: var(--accent, #5aa9f0); font-variant-numeric: tabular-nums; }
.timeline-run:hover { filter: brightness(1.12); }
.timeline-run:focus-visible { outline: 2px solid var(--text, #e6e9ee); outline-offset: 1px; }
.timeline-tooltip { position: fixed; z-index: 9000; pointer-events: none; max-width: 340px; padding: 6px 8px; border-radius: 4px;
  background: var(--raised, #232932); border: 1px solid var(--line, #323a46); color: var(--text, #e6e9ee);
  font: 11px/16px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums;
  box-shadow: 0 4px 16px rgba(0, 0, 0, 0.45); }
.timeline-tooltip b { display: block; font-weight: 600; }
.timeline-tooltip div { display: grid; grid-template-columns: 10px 1fr auto; column-gap: 6px; align-items: center; }
.timeline-tooltip i { width: 8px; height: 8px; border-radius: 2px; }
.timeline-tooltip span { color: var(--muted, #9aa4b2); }
.timeline-tooltip em { font-style: normal; text-align: right; }
.timeline-tooltip p { margin: 0; color: var(--muted, #9aa4b2); }
.timeline-tooltip .timeline-warning { color: var(--warn, #e0a458); }`;
