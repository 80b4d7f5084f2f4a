// The keys of a timeline that has the focus.

import { clamp } from "./numbers.js";
import { cancel } from "./pointer.js";
import { STEP } from "./sizes.js";

export const HELP =
  "Arrow keys step by one frame, with Shift by ten. Home and End go to the ends. I and O set the first and the last frame of a range, " +
  "X removes it. Plus and minus zoom, 0 shows all frames.";

export function key_down(timeline, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = event.shiftKey ? STEP : 1, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const [first, last] = timeline.range ?? [0, timeline.count - 1], middle = timeline.frame + 0.5;
  const actions = {
    ArrowLeft: () => press(timeline, timeline.frame - step), ArrowDown: () => press(timeline, timeline.frame - step),
    ArrowRight: () => press(timeline, timeline.frame + step), ArrowUp: () => press(timeline, timeline.frame + step),
    PageDown: () => press(timeline, timeline.frame - STEP), PageUp: () => press(timeline, timeline.frame + STEP),
    Home: () => press(timeline, 0), End: () => press(timeline, timeline.count - 1),
    i: () => timeline.choose([timeline.frame, Math.max(last, timeline.frame)]), o: () => timeline.choose([Math.min(first, timeline.frame), timeline.frame]),
    x: () => timeline.choose(null),
    "+": () => timeline.zoom(0.5, middle), "=": () => timeline.zoom(0.5, middle), "-": () => timeline.zoom(2, middle), 0: () => timeline.look([0, timeline.count]),
  };
  if (event.key === "Escape" && timeline.drag) cancel(timeline);
  else if (actions[key]) actions[key]();
  else return;
  event.preventDefault();
  event.stopPropagation(); // the page's own keys must not act a second time
  timeline.redraw("over");
}

function press(timeline, frame) {
  const there = clamp(frame, 0, timeline.count - 1);
  if (there === timeline.frame) return;
  timeline.seek(there, "down");
  timeline.seek(there, "up");
}
