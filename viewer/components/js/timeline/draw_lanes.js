// Lanes and ruler, on the lowest canvas: drawn anew when they or the view change.

import { columns, extent, runs } from "./columns.js";
import { SEVERITY } from "./lanes.js";
import { clamp, short } from "./numbers.js";
import { brush, colour_of, fit, font, pattern } from "./paint.js";
import { BAND, FOOT, NUMBERS, PAD, RULER, TICK_GAP } from "./sizes.js";

export function draw_lanes(timeline) {
  timeline.theme.clear();
  const ctx = timeline.pens.base, place = timeline.layout();
  ctx.fillStyle = colour_of(timeline, "--surface");
  ctx.fillRect(0, 0, timeline.base.width, timeline.base.height);
  if (!place) return;
  const cols = columns(timeline.view, timeline.count, place.left, place.plot);
  draw_ruler(timeline, ctx, place);
  for (let i = 0; i < place.rows; i++) {
    const top = timeline.px(RULER) + i * place.row;
    ctx.fillStyle = colour_of(timeline, "--line");
    ctx.fillRect(0, top, place.width, 1);
    draw_title(timeline, ctx, place, timeline.lanes[i], top);
    ctx.save();
    ctx.beginPath();
    ctx.rect(place.left, top, place.plot, place.row);
    ctx.clip();
    draw_lane(timeline, ctx, place, timeline.lanes[i], top + timeline.px(2), place.row - timeline.px(4), cols);
    ctx.restore();
  }
  ctx.fillStyle = colour_of(timeline, "--line");
  ctx.fillRect(0, place.bottom, place.width, 1);
  ctx.fillRect(place.gutter, 0, 1, place.bottom);
  ctx.fillRect(place.right + timeline.px(PAD), 0, 1, place.bottom);
  if (place.hidden > 0) {
    font(timeline, ctx);
    ctx.fillStyle = colour_of(timeline, "--muted");
    ctx.fillText(`+${place.hidden} lane${place.hidden > 1 ? "s" : ""}`, timeline.px(8), place.bottom + timeline.px(FOOT / 2) + 1);
  }
}

function draw_ruler(timeline, ctx, place) {
  const [a, b] = timeline.view, least = (timeline.px(TICK_GAP) * (b - a)) / place.plot, power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  const step = Math.max([1, 2, 5, 10].find((n) => n * power >= least) * power, 1);
  timeline.numbers = a < 1 && step > 1 ? [1] : [];
  for (let number = Math.max(Math.ceil((a + 1) / step) * step, step); number <= Math.min(b, timeline.count); number += step) timeline.numbers.push(number);
  ctx.fillStyle = colour_of(timeline, "--line");
  for (const number of timeline.numbers) {
    const x = Math.round(timeline.x(number - 0.5, place));
    ctx.fillRect(x, timeline.px(NUMBERS - 3), 1, timeline.px(3));
    ctx.fillRect(x, timeline.px(RULER), 1, place.bottom - timeline.px(RULER));
  }
  font(timeline, ctx);
  ctx.fillStyle = colour_of(timeline, "--muted");
  ctx.fillText("Frame", timeline.px(8), timeline.px(NUMBERS / 2));
  ctx.fillStyle = colour_of(timeline, "--line");
  ctx.fillRect(place.left, timeline.px(NUMBERS + BAND / 2) - timeline.px(1), place.plot, timeline.px(2)); // where the range lies
  if (b - a < timeline.count) {
    ctx.fillStyle = colour_of(timeline, "--muted"); // which part of all frames is in view
    ctx.fillRect(place.left + (a / timeline.count) * place.plot, 0, Math.max(((b - a) / timeline.count) * place.plot, timeline.px(8)), timeline.px(2));
  }
}

function draw_title(timeline, ctx, place, lane, top) {
  const middle = top + place.row / 2 + 1, edge = place.gutter - timeline.px(8);
  font(timeline, ctx);
  let limit = edge;
  if (!place.narrow && lane.kind !== "state") {
    const over = lane.series.some((series) => !series.faint && series.most > lane.high);
    const ends = lane.low === -lane.high ? `±${short(lane.high)}` : `${short(lane.low)}–${short(lane.high)}`, scale = ends + (over ? "+" : "");
    ctx.fillStyle = colour_of(timeline, "--muted");
    ctx.textAlign = "right";
    ctx.fillText(scale, edge, middle);
    limit -= ctx.measureText(scale).width + timeline.px(8);
  }
  font(timeline, ctx, 12);
  ctx.fillStyle = colour_of(timeline, "--text");
  const title = fit(ctx, lane.title, limit - timeline.px(8)), width = ctx.measureText(title).width;
  ctx.fillText(title, timeline.px(8), middle);
  font(timeline, ctx);
  ctx.fillStyle = colour_of(timeline, "--muted");
  const x = timeline.px(8) + width + timeline.px(5);
  if (lane.unit && x + ctx.measureText(lane.unit).width <= limit) ctx.fillText(lane.unit, x, middle);
}

function draw_lane(timeline, ctx, place, lane, top, height, cols) {
  if (lane.kind === "state") return draw_states(timeline, ctx, lane, top, height, cols);
  const scale = lane.high > lane.low ? (height - 1) / (lane.high - lane.low) : 0;
  const y = (value) => Math.round(top + height - 1 - (clamp(value, lane.low, lane.high) - lane.low) * scale);
  if (lane.low < 0 && lane.high > 0) {
    ctx.fillStyle = colour_of(timeline, "--muted");
    ctx.globalAlpha = 0.5;
    ctx.fillRect(place.left, y(0), place.plot, 1);
    ctx.globalAlpha = 1;
  }
  const fill = cols.dense ? timeline.pixels.start(place.left, top, place.plot, height) : brush(ctx);
  for (let i = lane.series.length - 1; i >= 0; i--) {
    const series = lane.series[i], style = { colour: colour_of(timeline, series.colour), alpha: series.faint ? 0.6 : 1 };
    if (i === 0 && lane.kind === "count") draw_bars(timeline, fill, lane, series, style, y, top + height, cols);
    else if (cols.dense) draw_dense(timeline, fill, lane, series, style, y, cols);
    else draw_line(timeline, ctx, lane, series, style, y, cols);
  }
  if (cols.dense) timeline.pixels.finish(ctx);
  if (lane.warn_below !== null && lane.series.length) {
    const few = (i) => extent(lane.series[0].values, cols.f[i], Math.max(cols.f[i + 1], cols.f[i] + 1)).low < lane.warn_below;
    ctx.fillStyle = pattern(timeline, ctx, "lines", colour_of(timeline, "--warn"));
    ctx.globalAlpha = 0.6;
    for (const [from, to] of runs(cols.n, few)) ctx.fillRect(cols.x[from], top - timeline.px(1), cols.x[to + 1] - cols.x[from], height + timeline.px(2));
    ctx.globalAlpha = 1;
  }
  if (lane.note && !lane.series.some((series) => series.any)) {
    font(timeline, ctx);
    ctx.fillStyle = colour_of(timeline, "--muted");
    ctx.fillText(fit(ctx, lane.note, place.plot - timeline.px(8)), place.left + timeline.px(4), top + height / 2 + 1);
  }
}

/** Bars from the bottom. A column of several frames shows the worst of them. Zero is a line, nothing is nothing. */
function draw_bars(timeline, fill, lane, series, { colour }, y, bottom, cols) {
  let from = 0, height = -1; // of a run of equal columns, drawn as one
  const gap = !cols.dense && (cols.x[cols.n] - cols.x[0]) / cols.n >= timeline.px(8) ? timeline.px(1) : 0, line = Math.max(timeline.px(1), 1);
  const flush = (to) => {
    if (height < 0) return;
    const x = cols.x[from], width = cols.x[to] - x - gap;
    fill(x, bottom - height, width, Math.min(line, height), colour);
    if (height > line) fill(x, bottom - height + line, width, height - line, colour, 0.45);
  };
  const caps = [];
  for (let i = 0; i < cols.n; i++) {
    const { low, high } = extent(series.values, cols.f[i], Math.max(cols.f[i + 1], cols.f[i] + 1));
    const value = lane.better === "high" ? low : high, now = value === value ? Math.max(bottom - y(value), 1) : -1;
    if (high > lane.high) caps.push(i);
    if (now === height && !gap) continue;
    flush(i);
    [from, height] = [i, now];
  }
  flush(cols.n);
  draw_caps(timeline, fill, caps, cols, y(lane.high));
}

/** Every column from the least to the greatest value of its frames, so that nothing is lost. */
function draw_dense(timeline, fill, lane, series, { colour, alpha }, y, cols) {
  const thick = Math.max(timeline.px(series.faint ? 1 : 1.5), 1), caps = [];
  let before = NaN;
  for (let i = 0; i < cols.n; i++) {
    let { low, high, first, last } = extent(series.values, cols.f[i], Math.max(cols.f[i + 1], cols.f[i] + 1));
    if (high > lane.high && high < Infinity) caps.push(i);
    if (first === first) {
      if (before === before) [low, high] = [Math.min(low, before), Math.max(high, before)];
      const upper = y(high);
      fill(cols.x[i], upper, 1, y(low) - upper + thick, colour, alpha);
    }
    before = Number.isNaN(series.values[cols.f[i + 1] - 1]) ? NaN : last; // no line over a gap
  }
  if (!series.faint) draw_caps(timeline, fill, caps, cols, y(lane.high));
}

function draw_line(timeline, ctx, lane, series, { colour, alpha }, y, cols) {
  const middle = (i) => (cols.x[i] + cols.x[i + 1]) / 2, known = (f) => f >= 0 && f < timeline.count && !Number.isNaN(series.values[f]);
  const single = (cols.x[cols.n] - cols.x[0]) / cols.n >= timeline.px(9); // room for a mark on every frame
  const dots = [], caps = [], size = timeline.px(3), fill = brush(ctx);
  ctx.lineWidth = Math.max(timeline.px(series.faint ? 1 : 1.5), 1);
  ctx.lineJoin = "round";
  ctx.setLineDash(series.faint ? [timeline.px(3), timeline.px(3)] : []);
  ctx.strokeStyle = colour;
  ctx.globalAlpha = alpha;
  ctx.beginPath();
  for (let i = 0; i < cols.n; i++) {
    const f = cols.f[i], value = series.values[f];
    if (!known(f)) continue;
    if (value > lane.high && value < Infinity) caps.push(i);
    if (known(f - 1) && i > 0) ctx.lineTo(middle(i), y(value) + 0.5);
    else ctx.moveTo(middle(i), y(value) + 0.5);
    if ((!known(f - 1) && !known(f + 1)) || single) dots.push([middle(i), y(value)]);
  }
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
  for (const [x, at] of dots) fill(Math.round(x - size / 2), at - Math.floor(size / 2), size, size, colour, alpha);
  if (!series.faint) draw_caps(timeline, fill, caps, cols, y(lane.high));
}

/** Marks what lies beyond the scale. */
function draw_caps(timeline, fill, caps, cols, y) {
  for (const i of caps) fill(cols.x[i], y, Math.max(cols.x[i + 1] - cols.x[i], timeline.px(2)), timeline.px(2), colour_of(timeline, "--bad"));
}

/** Colour, height and texture tell the states apart. */
function draw_states(timeline, ctx, lane, top, height, cols) {
  const code = (i) => {
    if (cols.f[i + 1] - cols.f[i] <= 1) return lane.states[cols.f[i]];
    let worst = -1;
    for (let f = cols.f[i]; f < cols.f[i + 1]; f++) worst = Math.max(worst, SEVERITY.indexOf(lane.states[f]));
    return SEVERITY[worst];
  };
  const looks = {
    t: ["--muted", "", 0], d: ["--good", "", 0.5], s: ["--warn", "dots", 0.75], r: ["--accent", "", 1], f: ["--bad", "lines", 1],
  };
  let from = 0, now = cols.n ? code(0) : undefined;
  for (let i = 1; i <= cols.n; i++) {
    const next = i < cols.n ? code(i) : null;
    if (next === now) continue;
    if (looks[now]) {
      const [name, texture, share] = looks[now], colour = colour_of(timeline, name), x = cols.x[from], width = Math.max(cols.x[i] - x, timeline.px(1));
      const tall = now === "t" ? timeline.px(2) : Math.round(height * share), y = top + height - tall;
      if (texture) {
        ctx.fillStyle = colour;
        ctx.globalAlpha = 0.25;
        ctx.fillRect(x, y, width, tall);
        ctx.globalAlpha = 1;
        if (texture === "lines") ctx.fillRect(x, y, width, timeline.px(2));
      }
      ctx.fillStyle = texture ? pattern(timeline, ctx, texture, colour) : colour;
      ctx.globalAlpha = now === "t" ? 0.5 : 1;
      ctx.fillRect(x, y, width, tall);
      ctx.globalAlpha = 1;
    }
    [from, now] = [i, next];
  }
}
