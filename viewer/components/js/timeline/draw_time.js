// What changes with the time, on small canvases of its own so that little is drawn while the time is dragged: cursor, numbers, values.

import { STATES } from "./lanes.js";
import { clamp, format } from "./numbers.js";
import { colour_of, font } from "./paint.js";
import { BAND, NARROW_VALUES, NUMBERS, PAD, RULER, VALUES } from "./sizes.js";

/** What changes with the time: the cursor, the numbers over it, the values at the current frame. */
export function draw_time(timeline) {
  const place = timeline.layout(), { ruler, values, cursor, dpr } = timeline, px = (value) => timeline.px(value);
  const wide = px((place?.narrow ? NARROW_VALUES : VALUES) + PAD);
  for (const [canvas, width, height] of [[ruler, timeline.base.width, px(NUMBERS)], [values, wide, timeline.base.height]]) {
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    Object.assign(canvas.style, { width: `${width / dpr}px`, height: `${height / dpr}px` });
  }
  values.style.left = `${(timeline.base.width - wide) / dpr}px`;
  timeline.pens.ruler.clearRect(0, 0, ruler.width, ruler.height);
  timeline.pens.values.setTransform(1, 0, 0, 1, 0, 0);
  timeline.pens.values.clearRect(0, 0, values.width, values.height);
  cursor.hidden = true;
  if (!place) return;
  timeline.pens.values.setTransform(1, 0, 0, 1, wide - timeline.base.width, 0);
  draw_values(timeline, timeline.pens.values, place);
  const ctx = timeline.pens.ruler, x = Math.round(timeline.x(timeline.frame + 0.5, place)), taken = []; // stretches of the ruler that have a number
  const seen = (at) => at >= place.left - 1 && at <= place.right + 1;
  if (seen(x)) {
    const thick = Math.max(px(1.5), 1), top = px(NUMBERS - 2);
    cursor.hidden = false;
    Object.assign(cursor.style, { width: `${thick / dpr}px`, height: `${(place.bottom - top) / dpr}px` });
    cursor.style.transform = `translate(${(x - Math.floor(thick / 2)) / dpr}px, ${top / dpr}px)`;
    badge(timeline, ctx, place, timeline.frame, taken, true);
  }
  const late = timeline.late_frame();
  if (late !== null && seen(Math.round(timeline.x(late + 0.5, place)))) badge(timeline, ctx, place, late, taken, false);
  font(timeline, ctx);
  ctx.fillStyle = colour_of(timeline, "--muted");
  for (const number of timeline.numbers ?? []) {
    const text = format(number, 0), width = ctx.measureText(text).width, at = ruler_x(timeline, place, number - 0.5, width);
    if (free(taken, at - px(3), at + width + px(3))) ctx.fillText(text, at, px(9));
  }
}

/** Where a number of timeline width stands in the ruler: over its frame, but not beyond the ends. */
function ruler_x(timeline, place, time, width) {
  const pad = timeline.px(PAD - 2);
  return Math.round(clamp(timeline.x(time, place) - width / 2, place.left - pad, place.right + pad - width));
}

/** The number of a frame: filled for the current one, outlined for that of the picture. */
function badge(timeline, ctx, place, frame, taken, filled) {
  font(timeline, ctx, 11, filled ? 600 : 400);
  const text = format(frame + 1, 0), width = Math.ceil(ctx.measureText(text).width) + timeline.px(8), x = ruler_x(timeline, place, frame + 0.5, width);
  if (!free(taken, x - timeline.px(1), x + width + timeline.px(1))) return;
  taken.push([x, x + width]);
  const edge = Math.max(timeline.px(1), 1), half = filled ? 0 : edge / 2;
  ctx.fillStyle = ctx.strokeStyle = colour_of(timeline, filled ? "--accent" : "--text");
  ctx.lineWidth = edge;
  ctx.beginPath();
  ctx.roundRect(x + half, timeline.px(1) + half, width - 2 * half, timeline.px(16) - 2 * half, timeline.px(3));
  if (filled) ctx.fill();
  else ctx.stroke();
  ctx.fillStyle = colour_of(timeline, filled ? "--bg" : "--text");
  ctx.fillText(text, x + timeline.px(4), timeline.px(9) + 0.5);
}

function draw_values(timeline, ctx, place) {
  const edge = place.width - timeline.px(8), put = (text, middle) => ctx.fillText(text, edge, middle);
  font(timeline, ctx);
  ctx.textAlign = "right";
  ctx.fillStyle = colour_of(timeline, "--text");
  put(place.narrow ? format(timeline.frame + 1, 0) : `${format(timeline.frame + 1, 0)} / ${format(timeline.count, 0)}`, timeline.px(NUMBERS / 2));
  ctx.fillStyle = colour_of(timeline, "--muted");
  put(`${format(timeline.frame / timeline.fps, 2)} s`, timeline.px(NUMBERS + BAND / 2));
  for (let i = 0; i < place.rows; i++) {
    const lane = timeline.lanes[i], middle = timeline.px(RULER) + i * place.row + place.row / 2 + 1;
    if (lane.kind === "state") {
      const names = { t: "--muted", d: "--good", s: "--warn", r: "--accent", f: "--bad" };
      ctx.fillStyle = colour_of(timeline, names[lane.states[timeline.frame]] ?? "--muted");
      put(STATES[lane.states[timeline.frame]] ?? "–", middle);
      continue;
    }
    let x = edge;
    const shown = lane.series.filter((series) => !series.faint).slice(0, place.narrow ? 1 : 2);
    for (const series of shown.reverse()) { // two are told apart by colour; one alone is read best in that of text
      const value = series.values[timeline.frame], text = format(value, lane.digits);
      ctx.fillStyle = colour_of(timeline, value !== value ? "--muted" : shown.length > 1 ? series.colour : "--text");
      ctx.fillText(text, x, middle);
      x -= ctx.measureText(text).width + timeline.px(8);
    }
  }
}

const free = (taken, from, to) => taken.every(([start, end]) => to <= start || from >= end);
