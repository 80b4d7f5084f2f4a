// What a timeline shows, where that lies, and what changes it. Other modules read its fields; pointer, keyboard and server change them by its
// methods. Frames are indices from 0 and shown from 1.

import { draw_lanes } from "./draw_lanes.js";
import { draw_over } from "./draw_over.js";
import { draw_time } from "./draw_time.js";
import { key_down } from "./keyboard.js";
import { STATES, read } from "./lanes.js";
import { clamp, format } from "./numbers.js";
import { Pixels } from "./paint.js";
import { cancel, down, follow, hurry, menu, move, up, wheel } from "./pointer.js";
import {
  FOOT, GRIP, GUTTER, LEAST_FRAMES, NARROW, NARROW_GUTTER, NARROW_VALUES, NUMBERS, PAD, REACH, ROW_LEAST, ROW_MOST, RULER, STEP, VALUES,
} from "./sizes.js";
import { point } from "./tooltip.js";

export class Timeline {
  constructor(root, { base, over, ruler, values, cursor, surface, button }, emit) {
    Object.assign(this, { root, base, over, ruler, values, cursor, surface, button, emit });
    this.count = 1;
    this.fps = 30;
    this.lanes = [];
    this.frame = this.shown = 0;
    this.range = this.busy = this.hover = this.drag = null;
    this.late = null; // the frame of the picture, where it is marked
    this.view = [0, 1];
    this.serial = 0; // of the last seek; the server repeats the last one that it knows
    this.layers = { base: draw_lanes, over: draw_over, time: draw_time }; // in the order in which they are drawn
    this.dirty = { base: true, over: true, time: true };
    this.pending = 0;
    this.patterns = new Map();
    this.theme = new Map(); // colours and the font of the page; asked for anew with every redraw of the lanes
    this.pixels = new Pixels();
    // Drawn by the processor: through a software GL a first redraw took seconds, and a graphics card has nothing to gain here.
    const pen = (canvas, alpha = true) => canvas.getContext("2d", { alpha, willReadFrequently: true });
    this.pens = { base: pen(base, false), over: pen(over), ruler: pen(ruler), values: pen(values) };
    this.tip = document.createElement("div");
    this.tip.className = "timeline-tooltip";
    this.tip.setAttribute("aria-hidden", "true");
    this.tip.hidden = true;
    document.body.append(this.tip);
    this.listen();
  }

  listen() {
    const on = (target, type, handler, options) => target.addEventListener(type, handler, { signal: this.stop.signal, ...options });
    this.stop = new AbortController();
    on(this.surface, "pointerdown", (event) => down(this, event));
    on(this.surface, "pointermove", (event) => move(this, event));
    on(this.surface, "pointerrawupdate", (event) => hurry(this, event));
    on(this.surface, "pointerup", (event) => up(this, event));
    on(this.surface, "pointercancel", (event) => cancel(this, event));
    on(this.surface, "lostpointercapture", (event) => this.drag && up(this, event));
    on(this.surface, "pointerleave", () => this.drag || point(this, null));
    on(this.surface, "wheel", (event) => wheel(this, event), { passive: false });
    on(this.surface, "dblclick", (event) => this.area(event) === "frames" && this.look([0, this.count]));
    on(this.surface, "mousedown", (event) => event.button === 1 && event.preventDefault()); // no scrolling of the browser's
    on(this.surface, "keydown", (event) => key_down(this, event));
    on(this.root, "contextmenu", (event) => menu(this, event));
    on(this.button, "click", () => this.range && this.emit("run_range", { first: this.range[0], last: this.range[1] }));
    this.observer = new ResizeObserver((entries) => this.resize(entries[0]));
    try {
      this.observer.observe(this.base, { box: "device-pixel-content-box" });
    } catch {
      this.observer.observe(this.base); // Safari
    }
  }

  close() {
    this.stop.abort();
    this.observer.disconnect();
    this.tip.remove();
    cancelAnimationFrame(this.pending);
  }

  // -- what the server says ------------------------------------------------------------------------------------------

  clip(count, fps) {
    const all = this.view[0] === 0 && this.view[1] === this.count;
    this.count = Math.max(count, 1);
    this.fps = fps;
    this.frame = clamp(this.frame, 0, this.count - 1);
    this.look(all || this.view[1] > this.count ? [0, this.count] : this.view);
    this.tell();
  }

  set_frame(frame, shown, serial) {
    this.shown = shown;
    if (serial >= this.serial && !(this.drag?.kind === "seek")) this.go(frame);
    this.follow_picture();
  }

  /** Draws the mark of a picture of another frame, or takes it away. */
  follow_picture() {
    if (this.late !== null || this.late_frame() !== null) this.redraw("over", "time");
  }

  set_lanes(entries) {
    const old = new Map(this.lanes.map((lane) => [lane.key, lane]));
    this.lanes = entries.map((entry) => (entry.title === undefined ? old.get(entry.key) : read(entry, old.get(entry.key)))).filter(Boolean);
    this.tell();
    this.redraw("base", "over", "time");
  }

  set_range(range) {
    if (this.drag?.range === undefined) this.range = range;
    this.redraw("over");
  }

  set_busy(frame) {
    this.busy = frame;
    this.redraw("over");
  }

  // -- where things are, in device pixels ----------------------------------------------------------------------------

  resize(entry) {
    const rect = this.base.getBoundingClientRect();
    this.dpr = window.devicePixelRatio || 1;
    if (this.drag) this.drag.rect = rect;
    const box = entry?.devicePixelContentBoxSize?.[0]; // exact where the pane begins or ends within a device pixel
    const near = box && Math.abs(box.inlineSize - rect.width * this.dpr) < 2 && Math.abs(box.blockSize - rect.height * this.dpr) < 2;
    const width = near ? box.inlineSize : Math.round(rect.width * this.dpr); // an emulated screen reports its real pixels
    const height = near ? box.blockSize : Math.round(rect.height * this.dpr);
    for (const canvas of [this.base, this.over]) Object.assign(canvas, { width, height });
    this.patterns.clear();
    this.redraw("base", "over", "time");
  }

  px(value) {
    return Math.round(value * this.dpr);
  }

  /** Sizes of the present layout; null while nothing is to be seen. */
  layout() {
    const { width, height } = this.base, px = (value) => this.px(value);
    const narrow = width < px(NARROW);
    const gutter = px(narrow ? NARROW_GUTTER : GUTTER), values = px(narrow ? NARROW_VALUES : VALUES);
    const left = gutter + px(PAD), right = width - values - px(PAD);
    if (!this.dpr || right - left < px(20) || height < px(RULER)) return null;
    const room = height - px(RULER), all = this.lanes.length;
    const fits = all * px(ROW_LEAST) <= room;
    const rows = fits ? all : Math.max(Math.floor((room - px(FOOT)) / px(ROW_LEAST)), 0);
    const row = fits ? Math.min(Math.floor(room / Math.max(all, 1)), px(ROW_MOST)) : px(ROW_LEAST);
    const bottom = px(RULER) + rows * row;
    return { width, height, narrow, gutter, left, right, rows, row, bottom, plot: right - left, hidden: all - rows };
  }

  x(frame, place) {
    return place.left + ((frame - this.view[0]) / (this.view[1] - this.view[0])) * place.plot;
  }

  /** The pointer in device pixels and the frame (with a fraction) under it. */
  at(event) {
    // Nothing moves the timeline while it is dragged in, and asking where it is makes the browser lay out the whole page.
    const place = this.layout(), rect = this.drag?.rect ?? this.base.getBoundingClientRect();
    if (!place) return null;
    const x = (event.clientX - rect.left) * (this.base.width / rect.width), y = (event.clientY - rect.top) * (this.base.height / rect.height);
    return { x, y, place, time: this.view[0] + ((x - place.left) / place.plot) * (this.view[1] - this.view[0]) };
  }

  frame_at(at) {
    return clamp(Math.floor(at.time), 0, this.count - 1);
  }

  /** What lies under the pointer: "in", "out", "band", "frames", "gutter", "values". */
  area(event) {
    const at = this.at(event);
    if (!at) return "values";
    const { x, y, place } = at, pad = this.px(PAD);
    if (y >= this.px(NUMBERS) && y < this.px(RULER)) {
      const [first, last] = this.range ?? [0, this.count - 1], reach = this.px(REACH), grip = this.px(GRIP);
      const start = this.x(first, place), end = this.x(last + 1, place);
      const seen = (edge) => edge >= place.left - 1 && edge <= place.right + 1;
      if (seen(end) && x >= end - (end - start > 3 * reach ? reach : 0) && x <= end + grip + reach) return "out";
      if (seen(start) && x <= start + (end - start > 3 * reach ? reach : 0) && x >= start - grip - reach) return "in";
      if (this.range && x > start && x < end && x >= place.left && x <= place.right) return "band";
    }
    if (x < place.left - pad) return "gutter";
    return x > place.right + pad ? "values" : "frames";
  }

  lane_at(at) {
    const row = Math.floor((at.y - this.px(RULER)) / at.place.row);
    return row >= 0 && row < at.place.rows ? this.lanes[row] : null;
  }

  // -- what changes --------------------------------------------------------------------------------------------------

  seek(frame, phase) {
    this.go(frame, true);
    this.emit("seek", { frame, phase, serial: ++this.serial });
  }

  /** Shows another current frame; a view that is zoomed in goes with it if it was in view, or is to be. */
  go(frame, reveal = false) {
    const [a, b] = this.view, seen = (f) => f >= a && f + 1 <= b;
    if (!seen(frame) && (reveal || seen(this.frame)) && !this.drag) {
      const by = frame < a && frame > a - STEP ? frame - a : frame >= b && frame < b + STEP && reveal ? frame + 1 - b : frame - a - 0.1 * (b - a);
      this.look([a + by, b + by]);
    }
    if (frame !== this.frame) this.redraw("time");
    this.frame = frame;
    this.follow_picture();
    const number = this.number && document.getElementById(this.number);
    if (number && number !== document.activeElement) number.value = frame + 1;
    this.tell();
  }

  choose(range, before = this.range) {
    this.range = range && range[0] === 0 && range[1] === this.count - 1 ? null : range;
    if (String(this.range) !== String(before)) this.emit("range", this.range && { first: this.range[0], last: this.range[1] });
    this.redraw("over");
  }

  zoom(factor, around) {
    const [a, b] = this.view, span = clamp((b - a) * factor, Math.min(LEAST_FRAMES, this.count), this.count);
    const start = around - ((around - a) / (b - a)) * span;
    this.look([start, start + span]);
  }

  look(view) {
    const span = clamp(view[1] - view[0], Math.min(LEAST_FRAMES, this.count), this.count), start = clamp(view[0], 0, this.count - span);
    this.view = [start, start + span];
    this.redraw("base", "over", "time");
  }

  /** What a screen reader hears. */
  tell() {
    const words = [`frame ${this.frame + 1} of ${this.count}`];
    for (const lane of this.lanes) {
      if (lane.kind === "state" && STATES[lane.states[this.frame]]) words.push(STATES[lane.states[this.frame]]);
      const value = lane.series[0]?.values[this.frame];
      if (value === value && value !== undefined) words.push(`${lane.title} ${format(value, lane.digits)} ${lane.unit}`.trim());
    }
    const text = { "aria-valuemin": 1, "aria-valuemax": this.count, "aria-valuenow": this.frame + 1, "aria-valuetext": words.slice(0, 3).join(", ") };
    for (const [name, value] of Object.entries(text)) this.surface.setAttribute(name, String(value));
  }

  // -- drawing -------------------------------------------------------------------------------------------------------

  redraw(...layers) {
    for (const layer of layers) this.dirty[layer] = true;
    this.pending ||= requestAnimationFrame(() => {
      try {
        if (this.drag) follow(this); // what it asks for is drawn below, and not once more in the next picture
      } finally {
        this.pending = 0;
      }
      for (const [layer, draw] of Object.entries(this.layers)) {
        if (!this.dirty[layer]) continue;
        this.dirty[layer] = false;
        draw(this);
      }
      const at = this.drag && this.at(this.drag.event); // goes on scrolling while the pointer rests beyond an end
      if (at && this.drag.kind !== "pan" && (at.x < at.place.left || at.x > at.place.right) && this.view[1] - this.view[0] < this.count) this.redraw();
    });
  }

  /** The frame of the picture if it is not the current one, else null; while the time is dragged it is of no interest. */
  late_frame() {
    return this.shown !== this.frame && this.drag?.kind !== "seek" ? this.shown : null;
  }
}
