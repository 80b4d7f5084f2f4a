// What lies over the lanes: range, hovered frame, frame being reconstructed, frame of a late picture, and the button that runs the range.

import { clamp, format } from "./numbers.js";
import { colour_of, fit, font } from "./paint.js";
import { BAND, GRIP, NUMBERS, PAD, RULER } from "./sizes.js";

export function draw_over(timeline) {
  const ctx = timeline.pens.over, place = timeline.layout();
  timeline.late = timeline.late_frame();
  ctx.clearRect(0, 0, timeline.over.width, timeline.over.height);
  place_button(timeline, place);
  if (!place) return;
  const { left, right, bottom } = place, px = (value) => timeline.px(value), seen = (x) => x >= left - 1 && x <= right + 1;
  draw_range(timeline, ctx, place);
  const centre = (frame) => Math.round(timeline.x(frame + 0.5, place));
  if (timeline.hover !== null && !timeline.drag && seen(centre(timeline.hover))) {
    ctx.fillStyle = colour_of(timeline, "--text");
    ctx.globalAlpha = 0.35;
    ctx.fillRect(centre(timeline.hover), px(NUMBERS), 1, bottom - px(NUMBERS));
    ctx.globalAlpha = 1;
  }
  if (timeline.busy !== null && seen(centre(timeline.busy))) {
    const x = centre(timeline.busy), y = px(RULER);
    ctx.fillStyle = colour_of(timeline, "--warn");
    ctx.beginPath();
    ctx.moveTo(x - px(4), y - px(7));
    ctx.lineTo(x + px(4), y - px(7));
    ctx.lineTo(x, y - px(1));
    ctx.fill();
  }
  if (timeline.late !== null && seen(centre(timeline.late))) {
    ctx.strokeStyle = colour_of(timeline, "--text");
    ctx.lineWidth = Math.max(px(1), 1);
    ctx.setLineDash([px(3), px(3)]);
    ctx.beginPath();
    ctx.moveTo(centre(timeline.late) + 0.5, px(NUMBERS));
    ctx.lineTo(centre(timeline.late) + 0.5, bottom);
    ctx.stroke();
    ctx.setLineDash([]);
  }
}

function draw_range(timeline, ctx, place) {
  const [first, last] = timeline.range ?? [0, timeline.count - 1], { left, right, bottom } = place, px = (value) => timeline.px(value);
  const start = Math.round(timeline.x(first, place)), end = Math.round(timeline.x(last + 1, place));
  const from = clamp(start, left, right), to = clamp(end, left, right);
  if (timeline.range) {
    ctx.fillStyle = colour_of(timeline, "--bg");
    ctx.globalAlpha = 0.6; // frames that are not in it
    ctx.fillRect(left, px(RULER), from - left, bottom - px(RULER));
    ctx.fillRect(to, px(RULER), right - to, bottom - px(RULER));
    ctx.globalAlpha = 1;
    ctx.fillStyle = colour_of(timeline, "--accent");
    ctx.fillRect(from, px(NUMBERS + BAND / 2 - 2), to - from, px(4));
  }
  ctx.fillStyle = colour_of(timeline, timeline.range ? "--accent" : "--muted");
  const grip = px(GRIP), y = px(NUMBERS + 1), tall = px(BAND - 3);
  for (const [x, seen, outward] of [[start, from === start, -1], [end, to === end, 1]]) {
    if (!seen) continue;
    ctx.beginPath(); // a wedge with its straight side at the edge of the range
    ctx.moveTo(x, y);
    ctx.lineTo(x + outward * grip, y + tall / 2 - px(3));
    ctx.lineTo(x + outward * grip, y + tall / 2 + px(3));
    ctx.lineTo(x, y + tall);
    ctx.fill();
  }
  font(timeline, ctx);
  const text = timeline.range ? `Range ${format(first + 1, 0)}–${format(last + 1, 0)}` : "Range: all frames";
  ctx.fillStyle = colour_of(timeline, timeline.range ? "--text" : "--muted");
  ctx.fillText(fit(ctx, text, place.gutter - px(12)), px(8), px(NUMBERS + BAND / 2));
}

/** "Run" right of the range's end, or left of its beginning where there is no room. */
function place_button(timeline, place) {
  timeline.button.hidden = !timeline.range || !place;
  if (timeline.button.hidden) return;
  const [first, last] = timeline.range, text = first === last ? `Run ${format(first + 1, 0)}` : `Run ${format(first + 1, 0)}–${format(last + 1, 0)}`;
  if (timeline.button.textContent !== text) {
    timeline.button.textContent = text;
    const long = first === last ? `Reconstruct frame ${first + 1}` : `Reconstruct just frames ${first + 1} to ${last + 1}`;
    timeline.button.title = long;
    timeline.button.setAttribute("aria-label", long);
  }
  const css = (value) => value / timeline.dpr, width = timeline.button.offsetWidth, gap = GRIP + 5;
  const start = css(timeline.x(first, place)), end = css(timeline.x(last + 1, place)), left = css(place.left), right = css(place.right) + PAD;
  let x = clamp(end, left, right) + gap;
  if (x + width > right) x = start - gap - width >= left ? start - gap - width : clamp(end - 3, left, right) - width;
  timeline.button.style.left = `${Math.round(clamp(x, left, right - width))}px`;
}
