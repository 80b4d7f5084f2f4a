// The pointer: seeking, panning, the range, zooming. ``drag`` of the timeline is what is being dragged, else null.

import { clamp } from "./numbers.js";
import { point } from "./tooltip.js";

export function down(timeline, event) {
  const at = timeline.at(event), area = timeline.area(event);
  if (!at || timeline.drag) return;
  if (event.button === 1) timeline.drag = { kind: "pan", x: at.x, view: [...timeline.view] };
  else if (event.button === 0 && area === "frames" && event.altKey) timeline.drag = { kind: "new", from: timeline.frame_at(at), range: timeline.range, x: at.x };
  else if (event.button === 0 && area === "frames") timeline.drag = { kind: "seek" };
  else if (event.button === 0 && ["in", "out", "band"].includes(area)) {
    timeline.drag = { kind: area, range: timeline.range, from: at.time, whole: timeline.range ?? [0, timeline.count - 1] };
  }
  if (!timeline.drag) return;
  event.preventDefault();
  timeline.surface.focus({ preventScroll: true, focusVisible: false });
  timeline.surface.setPointerCapture(event.pointerId);
  Object.assign(timeline.drag, { event, rect: timeline.base.getBoundingClientRect() });
  if (timeline.drag.kind === "seek") timeline.seek(timeline.frame_at(at), "down");
  timeline.redraw("over", "time");
}

export function move(timeline, event) {
  if (timeline.drag) {
    timeline.drag.event = event;
    timeline.drag.moved = true;
  } else {
    const area = timeline.area(event);
    timeline.surface.style.cursor = { in: "ew-resize", out: "ew-resize", band: "grab" }[area] ?? "default";
    point(timeline, event);
  }
  timeline.redraw();
}

/** A frame is asked for when the pointer moves, not when the browser has drawn what it is busy with; some browsers tell it only then. */
export function hurry(timeline, event) {
  if (timeline.drag?.kind !== "seek") return;
  timeline.drag.event = event;
  const at = timeline.at(event), inside = at && at.x >= at.place.left && at.x <= at.place.right;
  if (inside && timeline.frame_at(at) !== timeline.frame) timeline.seek(timeline.frame_at(at), "move");
}

/** Once per picture of the browser: what the last movement of a drag means. */
export function follow(timeline) {
  const drag = timeline.drag, at = timeline.at(drag.event), place = at?.place;
  if (!at) return;
  const span = timeline.view[1] - timeline.view[0];
  if (drag.kind === "pan") {
    timeline.look(drag.view.map((edge) => edge - ((at.x - drag.x) / place.plot) * (drag.view[1] - drag.view[0])));
    return;
  }
  const beyond = at.x - clamp(at.x, place.left, place.right);
  if (beyond && span < timeline.count) {
    const shift = clamp(beyond / place.plot, -0.05, 0.05) * span; // scrolls while the pointer is beyond an end
    timeline.look(timeline.view.map((edge) => edge + shift));
  }
  const frame = timeline.frame_at({ time: clamp(at.time, timeline.view[0], timeline.view[1] - 1e-6) });
  if (drag.kind === "seek") {
    if (frame !== timeline.frame) timeline.seek(frame, "move");
    if (!timeline.tip.hidden) point(timeline, null); // the values of timeline frame are on the right
    return;
  }
  if (drag.moved) timeline.range = dragged(timeline, drag, frame, at.time);
  timeline.redraw("over");
}

function dragged(timeline, drag, frame, time) {
  const [first, last] = drag.whole ?? [0, 0];
  if (drag.kind === "new") return Math.abs(timeline.at(drag.event).x - drag.x) < timeline.px(3) ? drag.range : sorted(drag.from, frame);
  const shift = Math.round(time - drag.from);
  if (drag.kind === "in") return [clamp(first + shift, 0, last), last];
  if (drag.kind === "out") return [first, clamp(last + shift, first, timeline.count - 1)];
  const both = clamp(shift, -first, timeline.count - 1 - last);
  return [first + both, last + both];
}

export function up(timeline, event) {
  const drag = timeline.drag;
  if (!drag) return;
  if (event.type === "pointerup") drag.event = event;
  follow(timeline);
  timeline.drag = null;
  if (drag.kind === "seek") timeline.seek(timeline.frame, "up");
  else if (drag.kind !== "pan") timeline.choose(drag.kind === "new" && timeline.range === drag.range ? null : timeline.range, drag.range);
  timeline.redraw("over", "time");
}

export function cancel(timeline) {
  const drag = timeline.drag;
  timeline.drag = null;
  if (drag?.kind === "seek") timeline.seek(timeline.frame, "up");
  else if (drag?.kind === "pan") timeline.look(drag.view);
  else if (drag) timeline.range = drag.range;
  timeline.redraw("over", "time");
}

export function wheel(timeline, event) {
  const at = timeline.at(event);
  if (!at) return;
  event.preventDefault();
  const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1, span = timeline.view[1] - timeline.view[0];
  const sideways = event.shiftKey ? event.deltaY || event.deltaX : Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
  if (sideways) timeline.look(timeline.view.map((edge) => edge + (sideways * unit * timeline.dpr * span) / at.place.plot));
  else timeline.zoom(Math.exp(clamp(event.deltaY * unit, -240, 240) * (event.ctrlKey ? 0.01 : 0.002)), at.time);
  if (!timeline.drag) point(timeline, event);
}

export function menu(timeline, event) {
  event.preventDefault();
  const at = timeline.at(event);
  if (!at) return;
  const inside = event.button === 2 && timeline.area(event) !== "gutter" && timeline.area(event) !== "values";
  point(timeline, null);
  timeline.emit("menu", { frame: inside ? timeline.frame_at(at) : timeline.frame, lane: timeline.lane_at(at)?.key ?? null, x: event.clientX, y: event.clientY });
}

const sorted = (a, b) => [Math.min(a, b), Math.max(a, b)];
