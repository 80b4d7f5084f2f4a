// The style sheet of camera panes.

import { make } from "./elements.js";

const STYLE = `
.tsp { container-type: inline-size; position: relative; display: flex; flex-direction: column; width: 100%; height: 100%; min-width: 0; min-height: 0; overflow: hidden;
  background: var(--bg, #14171c); color: var(--text, #e6e9ee); font: 12px/1.4 Inter, "Segoe UI", system-ui, Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; outline: none; user-select: none; box-shadow: inset 0 0 0 1px var(--line, #323a46); }
.tsp.active .tsp-bar { box-shadow: inset 0 2px 0 var(--accent, #5aa9f0); }
.tsp:focus-visible { outline: 2px solid var(--accent, #5aa9f0); outline-offset: -2px; }
.tsp-bar { flex: none; display: flex; align-items: center; gap: 8px; height: 26px; padding: 0 8px; background: var(--surface, #1b1f26);
  border-bottom: 1px solid var(--line, #323a46); white-space: nowrap; overflow: hidden; }
.tsp-bar > * { overflow: hidden; text-overflow: ellipsis; }
.tsp-name { font-weight: 600; flex: 0 0 auto; max-width: 40%; }
.tsp-role { flex: none; font-size: 11px; padding: 0 6px; border: 1px solid var(--line, #323a46); border-radius: 8px; color: var(--muted, #9aa4b2); }
.tsp-frame { flex: none; }
.tsp-what { flex: 0 1 auto; min-width: 0; color: var(--muted, #9aa4b2); }
.tsp-gap { flex: 1 1 0; }
.tsp-score { flex: none; }
.tsp-ssim { flex: none; }
.tsp-pixels, .tsp-extent { flex: 0 20 auto; min-width: 0; font-size: 11px; color: var(--muted, #9aa4b2); }
@container (min-width: 680px) { .tsp-bar > .tsp-extent { display: none; } }
@container (max-width: 679.9px) { .tsp-bar > .tsp-pixels { display: none; } }
@container (max-width: 519.9px) { .tsp-bar > .tsp-ssim { display: none; } }
/* That the whole image is meant goes without saying where it would be cut off; that it is a part does not. */
@container (max-width: 439.9px) { .tsp-bar { gap: 6px; padding: 0 6px; } .tsp-bar > .tsp-role { padding: 0 4px; }
  .tsp-bar > .tsp-extent.whole { display: none; } }
@container (max-width: 299.9px) { .tsp-bar { gap: 4px; } .tsp-bar > .tsp-what { display: none; }
  .tsp-bar > .tsp-name, .tsp-bar > .tsp-frame { flex: 0 1 auto; min-width: 0; } }
/* The menu above names the camera, the timeline the frame. */
@container (max-width: 199.9px) { .tsp-bar > .tsp-role, .tsp-bar > .tsp-name, .tsp-bar > .tsp-what { display: none; } }
@container (max-width: 159.9px) { .tsp-bar > .tsp-frame { display: none; } }
.tsp-stage { position: relative; flex: 1 1 0; min-height: 0; overflow: hidden; touch-action: none; cursor: crosshair; }
.tsp-stage.pans { cursor: grab; } .tsp-stage.panning { cursor: grabbing; } .tsp-stage.wipes { cursor: ew-resize; } .tsp-stage.picks { cursor: pointer; }
.tsp-stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; image-rendering: pixelated; }
.tsp-stage canvas + canvas { pointer-events: none; }
.tsp-photo { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; pointer-events: none; }
.tsp-wipe { position: absolute; top: 0; bottom: 0; width: 0; outline: none; }
.tsp-wipe::before { content: ""; position: absolute; top: 0; bottom: 0; left: -1px; width: 2px; background: #fff; box-shadow: 0 0 0 1px #0009; }
.tsp-wipe::after { content: "◂ ▸"; position: absolute; top: 50%; left: 0; transform: translate(-50%, -50%); padding: 1px 4px; border-radius: 9px;
  background: #fff; color: #14171c; font-size: 10px; line-height: 14px; white-space: nowrap; box-shadow: 0 0 0 1px #0009; }
.tsp-wipe:focus-visible::after { box-shadow: 0 0 0 2px var(--accent, #5aa9f0); }
.tsp-note { position: absolute; top: 6px; left: 6px; max-width: calc(100% - 12px); box-sizing: border-box; padding: 2px 8px; border-radius: 3px;
  background: #14171ce0; color: var(--warn, #e0a458); font-size: 11px; pointer-events: none; }
.tsp-message { position: absolute; top: 50%; left: 50%; transform: translate(-50%, -50%); max-width: min(calc(100% - 24px), 44em); width: max-content;
  box-sizing: border-box; padding: 8px 12px; border-radius: 4px; background: var(--raised, #232932); border: 1px solid var(--line, #323a46);
  text-align: center; text-wrap: pretty; overflow-wrap: anywhere; pointer-events: none; }
.tsp-message.error { border-left: 3px solid var(--warn, #e0a458); text-align: left; }
.tsp-message.loading { top: 6px; bottom: auto; left: auto; right: 6px; transform: none; padding: 2px 8px; font-size: 11px; color: var(--muted, #9aa4b2); }
.tsp-legend { position: absolute; left: 6px; bottom: 6px; max-width: calc(100% - 12px); box-sizing: border-box; padding: 3px 8px; border-radius: 3px;
  background: #14171cec; font-size: 11px; line-height: 16px; display: flex; flex-wrap: wrap; gap: 1px 12px; align-items: center; }
.tsp-legend > span { display: inline-flex; align-items: center; gap: 5px; }
.tsp-legend .quiet { color: var(--muted, #9aa4b2); }
.tsp-bar-colours { width: 90px; height: 8px; border-radius: 2px; box-shadow: 0 0 0 1px #0008; }
.tsp-swatch { width: 9px; height: 9px; border-radius: 2px; flex: none; box-shadow: 0 0 0 1px #0008; }
.tsp-legend button { all: unset; cursor: pointer; color: var(--muted, #9aa4b2); padding: 0 2px; border-radius: 2px; }
.tsp-legend button:hover { color: var(--text, #e6e9ee); }
.tsp-legend button:focus-visible { outline: 2px solid var(--accent, #5aa9f0); }
.tsp-tip { position: absolute; z-index: 2; padding: 5px 8px; border-radius: 4px; background: var(--raised, #232932); border: 1px solid var(--line, #323a46);
  box-shadow: 0 2px 8px #0008; font-size: 11px; line-height: 16px; pointer-events: none; display: grid; grid-template-columns: auto auto; gap: 0 10px; max-width: 260px; }
.tsp-tip :nth-child(even) { color: var(--muted, #9aa4b2); } .tsp-tip :nth-child(odd) { text-align: right; }
.tsp-tip .head.head { grid-column: 1 / -1; color: var(--text, #e6e9ee); font-weight: 600; text-align: left; }
.tsp [hidden] { display: none !important; }
`;

export function installStyle() {
  if (document.getElementById("tsp-style")) return;
  const style = make("style", "", STYLE);
  style.id = "tsp-style";
  document.head.append(style);
}
