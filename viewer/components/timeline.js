// The timeline: lanes over all frames on a canvas, the range over them on another, a button and a tooltip. What moves with the time is on
// small canvases of its own (numbers of frames; values) and in the cursor, so that little is drawn anew while the time is dragged.
// Frames are indices from 0 and shown from 1. Text is drawn or set as textContent, never parsed as HTML.

// Sizes in CSS pixels.
const GUTTER = 176, VALUES = 104, PAD = 9; // title and scale; values at the current frame; space for the handles beside the frames
const NARROW = 700, NARROW_GUTTER = 104, NARROW_VALUES = 62; // below this width: no scale, one value
const NUMBERS = 18, BAND = 16, RULER = NUMBERS + BAND; // frame numbers; the in/out range under them
const ROW_LEAST = 16, ROW_MOST = 22, FOOT = 14;
const GRIP = 7, REACH = 4; // width of a handle and how far beyond it the pointer may be
const LEAST_FRAMES = 8; // that zooming leaves in view
const TICK_GAP = 64, STEP = 10; // between frame numbers; frames of Page Up and Shift+arrow
const FALLBACKS = {
  "--bg": "#14171c", "--surface": "#1b1f26", "--raised": "#232932", "--line": "#323a46", "--text": "#e6e9ee", "--muted": "#9aa4b2",
  "--accent": "#5aa9f0", "--good": "#56b4a0", "--warn": "#e0a458", "--bad": "#e0716c",
};
const STATES = { t: "to do", d: "done", s: "stale", r: "running", f: "failed" };
const SEVERITY = "dtsrf"; // a column that covers several frames shows the last of these that occurs
const HELP =
  "Arrow keys step by one frame, with Shift by ten. Home and End go to the ends. I and O set the first and the last frame of a range, " +
  "X removes it. Plus and minus zoom, 0 shows all frames.";

const STYLE = `
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

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const formats = new Map();

/** A number for people: "–" where there is none. */
export function format(value, digits) {
  if (Number.isNaN(value) || value === undefined) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits).format(Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).replace("-", "−");
}

/** An end of a scale: at most four characters of digits. */
export function short(value) {
  const size = Math.abs(value);
  const [divisor, unit] = size >= 999500 ? [1e6, "M"] : size >= 9995 ? [1e3, "k"] : [1, ""];
  const scaled = value / divisor;
  return String(Number(scaled.toPrecision(size >= 1000 && divisor === 1 ? 4 : 3))).replace("-", "−") + unit;
}

/** The columns that frames are drawn in: one per device pixel if frames are narrower, else one per frame (and one beyond each end). */
export function columns(view, count, left, width) {
  const [a, b] = view, scale = (b - a) / width, dense = scale > 1;
  const start = dense ? 0 : Math.max(Math.floor(a) - 1, 0);
  const n = dense ? width : Math.min(Math.ceil(b) + 1, count) - start;
  const x = new Int32Array(n + 1), f = new Int32Array(n + 1);
  for (let i = 0; i <= n; i++) {
    x[i] = dense ? left + i : Math.round(left + (start + i - a) / scale);
    f[i] = dense ? Math.min(Math.floor(a + i * scale), count) : start + i;
  }
  return { dense, n, x, f };
}

/** Least and greatest value and the first and last one of frames [from, to); NaN where there is none. */
export function extent(values, from, to) {
  let low = NaN, high = NaN, first = NaN, last = NaN;
  for (let f = from; f < to; f++) {
    const value = values[f];
    if (value !== value) continue;
    if (first !== first) first = low = high = value;
    else if (value < low) low = value;
    else if (value > high) high = value;
    last = value;
  }
  return { low, high, first, last };
}

/** Fills rectangles on a canvas. */
function brush(ctx) {
  return (x, y, width, height, colour, alpha = 1) => {
    ctx.fillStyle = colour;
    ctx.globalAlpha = alpha;
    ctx.fillRect(x, y, width, height);
    ctx.globalAlpha = 1;
  };
}

/** Fills rectangles in an array of pixels, which is much faster where there are thousands of one pixel's width. */
class Pixels {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.inks = new Map();
  }

  start(left, top, width, height) {
    Object.assign(this, { left, top, width, height });
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    if (this.image?.width !== width || this.image.height !== height) this.image = new ImageData(width, height);
    this.data = new Uint32Array(this.image.data.buffer).fill(0);
    return (x, y, wide, tall, colour, alpha) => this.rect(x - left, y - top, wide, tall, this.ink(colour, alpha));
  }

  rect(x, y, wide, tall, ink) {
    const { data, width } = this, from = Math.max(x, 0), to = Math.min(x + wide, width), end = Math.min(y + tall, this.height) * width;
    for (let row = Math.max(y, 0) * width; row < end; row += width) {
      for (let at = row + from; at < row + to; at++) data[at] = ink;
    }
  }

  ink(colour, alpha = 1) {
    if (colour === this.colour && alpha === this.alpha) return this.last; // as for the column before
    const key = `${colour} ${alpha}`;
    [this.colour, this.alpha] = [colour, alpha];
    if (!this.inks.has(key)) {
      this.pen.fillStyle = colour;
      const rgb = Number.parseInt(this.pen.fillStyle.slice(1, 7), 16); // in the form #rrggbb, whatever the page wrote
      const [red, green, blue] = [rgb >> 16, (rgb >> 8) & 255, rgb & 255];
      this.inks.set(key, ((Math.round(alpha * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0);
    }
    return (this.last = this.inks.get(key));
  }

  finish(ctx) {
    this.pen.putImageData(this.image, 0, 0);
    ctx.drawImage(this.canvas, this.left, this.top);
  }
}

class View {
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
    const on = (target, type, handler, options) => target.addEventListener(type, handler.bind(this), { signal: this.stop.signal, ...options });
    this.stop = new AbortController();
    on(this.surface, "pointerdown", this.down);
    on(this.surface, "pointermove", this.move);
    on(this.surface, "pointerrawupdate", this.hurry);
    on(this.surface, "pointerup", this.up);
    on(this.surface, "pointercancel", this.cancel);
    on(this.surface, "lostpointercapture", (event) => this.drag && this.up(event));
    on(this.surface, "pointerleave", () => this.drag || this.point(null));
    on(this.surface, "wheel", this.wheel, { passive: false });
    on(this.surface, "dblclick", (event) => this.area(event) === "frames" && this.look([0, this.count]));
    on(this.surface, "mousedown", (event) => event.button === 1 && event.preventDefault()); // no scrolling of the browser's
    on(this.surface, "keydown", this.key);
    on(this.root, "contextmenu", this.menu);
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

  // -- pointer -------------------------------------------------------------------------------------------------------

  down(event) {
    const at = this.at(event), area = this.area(event);
    if (!at || this.drag) return;
    if (event.button === 1) this.drag = { kind: "pan", x: at.x, view: [...this.view] };
    else if (event.button === 0 && area === "frames" && event.altKey) this.drag = { kind: "new", from: this.frame_at(at), range: this.range, x: at.x };
    else if (event.button === 0 && area === "frames") this.drag = { kind: "seek" };
    else if (event.button === 0 && ["in", "out", "band"].includes(area)) {
      this.drag = { kind: area, range: this.range, from: at.time, whole: this.range ?? [0, this.count - 1] };
    }
    if (!this.drag) return;
    event.preventDefault();
    this.surface.focus({ preventScroll: true, focusVisible: false });
    this.surface.setPointerCapture(event.pointerId);
    Object.assign(this.drag, { event, rect: this.base.getBoundingClientRect() });
    if (this.drag.kind === "seek") this.seek(this.frame_at(at), "down");
    this.redraw("over", "time");
  }

  move(event) {
    if (this.drag) {
      this.drag.event = event;
      this.drag.moved = true;
    } else {
      const area = this.area(event);
      this.surface.style.cursor = { in: "ew-resize", out: "ew-resize", band: "grab" }[area] ?? "default";
      this.point(event);
    }
    this.redraw();
  }

  /** A frame is asked for when the pointer moves, not when the browser has drawn what it is busy with; some browsers tell it only then. */
  hurry(event) {
    if (this.drag?.kind !== "seek") return;
    this.drag.event = event;
    const at = this.at(event), inside = at && at.x >= at.place.left && at.x <= at.place.right;
    if (inside && this.frame_at(at) !== this.frame) this.seek(this.frame_at(at), "move");
  }

  /** Once per picture of the browser: what the last movement of a drag means. */
  follow() {
    const drag = this.drag, at = this.at(drag.event), place = at?.place;
    if (!at) return;
    const span = this.view[1] - this.view[0];
    if (drag.kind === "pan") {
      this.look(drag.view.map((edge) => edge - ((at.x - drag.x) / place.plot) * (drag.view[1] - drag.view[0])));
      return;
    }
    const beyond = at.x - clamp(at.x, place.left, place.right);
    if (beyond && span < this.count) {
      const shift = clamp(beyond / place.plot, -0.05, 0.05) * span; // scrolls while the pointer is beyond an end
      this.look(this.view.map((edge) => edge + shift));
    }
    const frame = this.frame_at({ time: clamp(at.time, this.view[0], this.view[1] - 1e-6) });
    if (drag.kind === "seek") {
      if (frame !== this.frame) this.seek(frame, "move");
      if (!this.tip.hidden) this.point(null); // the values of this frame are on the right
      return;
    }
    if (drag.moved) this.range = this.dragged(drag, frame, at.time);
    this.redraw("over");
  }

  dragged(drag, frame, time) {
    const [first, last] = drag.whole ?? [0, 0];
    if (drag.kind === "new") return Math.abs(this.at(drag.event).x - drag.x) < this.px(3) ? drag.range : sorted(drag.from, frame);
    const shift = Math.round(time - drag.from);
    if (drag.kind === "in") return [clamp(first + shift, 0, last), last];
    if (drag.kind === "out") return [first, clamp(last + shift, first, this.count - 1)];
    const both = clamp(shift, -first, this.count - 1 - last);
    return [first + both, last + both];
  }

  up(event) {
    const drag = this.drag;
    if (!drag) return;
    if (event.type === "pointerup") drag.event = event;
    this.follow();
    this.drag = null;
    if (drag.kind === "seek") this.seek(this.frame, "up");
    else if (drag.kind !== "pan") this.choose(drag.kind === "new" && this.range === drag.range ? null : this.range, drag.range);
    this.redraw("over", "time");
  }

  cancel() {
    const drag = this.drag;
    this.drag = null;
    if (drag?.kind === "seek") this.seek(this.frame, "up");
    else if (drag?.kind === "pan") this.look(drag.view);
    else if (drag) this.range = drag.range;
    this.redraw("over", "time");
  }

  wheel(event) {
    const at = this.at(event);
    if (!at) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1, span = this.view[1] - this.view[0];
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
    if (sideways) this.look(this.view.map((edge) => edge + (sideways * unit * this.dpr * span) / at.place.plot));
    else this.zoom(Math.exp(clamp(event.deltaY * unit, -240, 240) * (event.ctrlKey ? 0.01 : 0.002)), at.time);
    if (!this.drag) this.point(event);
  }

  menu(event) {
    event.preventDefault();
    const at = this.at(event);
    if (!at) return;
    const inside = event.button === 2 && this.area(event) !== "gutter" && this.area(event) !== "values";
    this.point(null);
    this.emit("menu", { frame: inside ? this.frame_at(at) : this.frame, lane: this.lane_at(at)?.key ?? null, x: event.clientX, y: event.clientY });
  }

  // -- keyboard ------------------------------------------------------------------------------------------------------

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? STEP : 1, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const [first, last] = this.range ?? [0, this.count - 1], middle = this.frame + 0.5;
    const actions = {
      ArrowLeft: () => this.press(this.frame - step), ArrowDown: () => this.press(this.frame - step),
      ArrowRight: () => this.press(this.frame + step), ArrowUp: () => this.press(this.frame + step),
      PageDown: () => this.press(this.frame - STEP), PageUp: () => this.press(this.frame + STEP),
      Home: () => this.press(0), End: () => this.press(this.count - 1),
      i: () => this.choose([this.frame, Math.max(last, this.frame)]), o: () => this.choose([Math.min(first, this.frame), this.frame]),
      x: () => this.choose(null),
      "+": () => this.zoom(0.5, middle), "=": () => this.zoom(0.5, middle), "-": () => this.zoom(2, middle), 0: () => this.look([0, this.count]),
    };
    if (event.key === "Escape" && this.drag) this.cancel();
    else if (actions[key]) actions[key]();
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page's own keys must not act a second time
    this.redraw("over");
  }

  press(frame) {
    const there = clamp(frame, 0, this.count - 1);
    if (there === this.frame) return;
    this.seek(there, "down");
    this.seek(there, "up");
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

  // -- tooltip -------------------------------------------------------------------------------------------------------

  point(event) {
    const at = event && this.at(event), area = event && this.area(event);
    this.hover = null;
    if (at && this.drag === null && area === "gutter") this.explain(at);
    else if (at && (this.drag || !["gutter", "values"].includes(area)) && at.y < at.place.height) {
      this.hover = this.frame_at(at);
      this.describe(this.hover);
    } else this.tip.hidden = true;
    if (!this.tip.hidden) this.put(event.clientX);
    this.redraw("over");
  }

  describe(frame) {
    const seconds = format(frame / this.fps, 2);
    this.tip.replaceChildren(element("b", `Frame ${format(frame + 1, 0)} of ${format(this.count, 0)} · ${seconds} s`));
    for (const lane of this.lanes) {
      if (lane.kind === "state" && lane.states) this.line(lane.title, STATES[lane.states[frame]] ?? "–");
      for (const series of lane.series) {
        const value = series.values[frame], few = series === lane.series[0] && lane.warn_below !== null && value < lane.warn_below;
        const label = lane.series.length > 1 ? `${lane.title}, ${series.label}` : lane.title;
        const note = few ? ` (fewer than ${format(lane.warn_below, 0)})` : "";
        this.line(label, `${format(value, lane.digits)} ${value === value ? lane.unit : ""}`.trim() + note, series.colour, few);
      }
    }
    if (frame === this.busy) this.tip.append(element("p", "Being reconstructed now"));
    this.tip.hidden = false;
  }

  /** In the gutter: what a lane is, or how the range is set. */
  explain(at) {
    const lane = this.lane_at(at), last = at.y > at.place.bottom && at.place.hidden > 0;
    this.tip.hidden = !(lane || last || (at.y >= this.px(NUMBERS) && at.y < this.px(RULER)));
    if (this.tip.hidden) return;
    if (lane) {
      const better = { high: "higher is better", low: "lower is better" }[lane.better];
      this.tip.replaceChildren(element("b", lane.title + (lane.unit ? ` (${lane.unit})` : "") + (better ? `: ${better}` : "")));
      if (lane.kind === "state") for (const [code, words] of Object.entries(STATES)) this.line(words, format(tally(lane.states, code), 0));
      for (const series of lane.series) this.line(series.label, "", series.colour);
      if (lane.kind !== "state") this.tip.append(element("p", `Scale ${format(lane.low, lane.digits)} to ${format(lane.high, lane.digits)} ${lane.unit}`));
      if (lane.warn_below !== null) this.tip.append(element("p", `Hatched: fewer than ${format(lane.warn_below, 0)}`, "timeline-warning"));
      if (lane.note) this.tip.append(element("p", lane.note));
    } else if (last) {
      const titles = this.lanes.slice(at.place.rows).map((hidden) => hidden.title);
      this.tip.replaceChildren(element("b", "Make the timeline higher to see"), element("p", titles.join(", ")));
    } else {
      this.tip.replaceChildren(element("b", "Range"), element("p", "Drag the handles, drag with Alt, or press I and O. X removes the range."));
    }
  }

  line(label, value, colour, warning = false) {
    const row = document.createElement("div"), swatch = document.createElement("i");
    if (colour) swatch.style.background = this.colour(colour);
    row.append(swatch, element("span", label), element("em", value, warning ? "timeline-warning" : ""));
    this.tip.append(row);
  }

  /** Above the timeline, or under it where there is no room: the lanes stay free. */
  put(x) {
    const rect = this.root.getBoundingClientRect(), tip = this.tip.getBoundingClientRect();
    const top = rect.top - tip.height - 6 >= 4 ? rect.top - tip.height - 6 : Math.min(rect.bottom + 6, innerHeight - tip.height - 4);
    const left = clamp(top < rect.bottom && top > rect.top - tip.height ? x + 16 : x - tip.width / 2, 4, Math.max(innerWidth - tip.width - 4, 4));
    Object.assign(this.tip.style, { left: `${Math.round(left)}px`, top: `${Math.round(Math.max(top, 4))}px` });
  }

  // -- drawing -------------------------------------------------------------------------------------------------------

  redraw(...layers) {
    for (const layer of layers) this.dirty[layer] = true;
    this.pending ||= requestAnimationFrame(() => {
      try {
        if (this.drag) this.follow(); // what it asks for is drawn below, and not once more in the next picture
      } finally {
        this.pending = 0;
      }
      for (const [layer, draw] of [["base", this.draw_base], ["over", this.draw_over], ["time", this.draw_time]]) {
        if (!this.dirty[layer]) continue;
        this.dirty[layer] = false;
        draw.call(this);
      }
      const at = this.drag && this.at(this.drag.event); // goes on scrolling while the pointer rests beyond an end
      if (at && this.drag.kind !== "pan" && (at.x < at.place.left || at.x > at.place.right) && this.view[1] - this.view[0] < this.count) this.redraw();
    });
  }

  /** A colour as "#rrggbb" or the name of a CSS variable of the page. */
  colour(name) {
    if (!name.startsWith("--")) return name;
    if (!this.theme.has(name)) this.theme.set(name, getComputedStyle(this.root).getPropertyValue(name).trim() || FALLBACKS[name] || FALLBACKS["--text"]);
    return this.theme.get(name);
  }

  font(ctx, size = 11, weight = 400) {
    if (!this.theme.has("font")) this.theme.set("font", getComputedStyle(this.root).fontFamily);
    ctx.font = `${weight} ${this.px(size)}px ${this.theme.get("font")}`;
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
  }

  /** A tile of diagonal lines or of dots. */
  pattern(ctx, kind, colour) {
    const key = kind + colour;
    if (!this.patterns.has(key)) {
      const size = this.px(kind === "dots" ? 4 : 6), tile = Object.assign(document.createElement("canvas"), { width: size, height: size });
      const pen = tile.getContext("2d");
      pen.fillStyle = colour;
      if (kind === "dots") pen.fillRect(0, 0, this.px(2), this.px(2));
      else for (let x = 0; x < size; x++) for (let y = 0; y < size; y++) if ((x + y) % size < size / 2) pen.fillRect(x, y, 1, 1);
      this.patterns.set(key, ctx.createPattern(tile, "repeat"));
    }
    return this.patterns.get(key);
  }

  draw_base() {
    this.theme.clear();
    const ctx = this.pens.base, place = this.layout();
    ctx.fillStyle = this.colour("--surface");
    ctx.fillRect(0, 0, this.base.width, this.base.height);
    if (!place) return;
    const cols = columns(this.view, this.count, place.left, place.plot);
    this.draw_ruler(ctx, place);
    for (let i = 0; i < place.rows; i++) {
      const top = this.px(RULER) + i * place.row;
      ctx.fillStyle = this.colour("--line");
      ctx.fillRect(0, top, place.width, 1);
      this.draw_title(ctx, place, this.lanes[i], top);
      ctx.save();
      ctx.beginPath();
      ctx.rect(place.left, top, place.plot, place.row);
      ctx.clip();
      this.draw_lane(ctx, place, this.lanes[i], top + this.px(2), place.row - this.px(4), cols);
      ctx.restore();
    }
    ctx.fillStyle = this.colour("--line");
    ctx.fillRect(0, place.bottom, place.width, 1);
    ctx.fillRect(place.gutter, 0, 1, place.bottom);
    ctx.fillRect(place.right + this.px(PAD), 0, 1, place.bottom);
    if (place.hidden > 0) {
      this.font(ctx);
      ctx.fillStyle = this.colour("--muted");
      ctx.fillText(`+${place.hidden} lane${place.hidden > 1 ? "s" : ""}`, this.px(8), place.bottom + this.px(FOOT / 2) + 1);
    }
  }

  draw_ruler(ctx, place) {
    const [a, b] = this.view, least = (this.px(TICK_GAP) * (b - a)) / place.plot, power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
    const step = Math.max([1, 2, 5, 10].find((n) => n * power >= least) * power, 1);
    this.numbers = a < 1 && step > 1 ? [1] : [];
    for (let number = Math.max(Math.ceil((a + 1) / step) * step, step); number <= Math.min(b, this.count); number += step) this.numbers.push(number);
    ctx.fillStyle = this.colour("--line");
    for (const number of this.numbers) {
      const x = Math.round(this.x(number - 0.5, place));
      ctx.fillRect(x, this.px(NUMBERS - 3), 1, this.px(3));
      ctx.fillRect(x, this.px(RULER), 1, place.bottom - this.px(RULER));
    }
    this.font(ctx);
    ctx.fillStyle = this.colour("--muted");
    ctx.fillText("Frame", this.px(8), this.px(NUMBERS / 2));
    ctx.fillStyle = this.colour("--line");
    ctx.fillRect(place.left, this.px(NUMBERS + BAND / 2) - this.px(1), place.plot, this.px(2)); // where the range lies
    if (b - a < this.count) {
      ctx.fillStyle = this.colour("--muted"); // which part of all frames is in view
      ctx.fillRect(place.left + (a / this.count) * place.plot, 0, Math.max(((b - a) / this.count) * place.plot, this.px(8)), this.px(2));
    }
  }

  draw_title(ctx, place, lane, top) {
    const middle = top + place.row / 2 + 1, edge = place.gutter - this.px(8);
    this.font(ctx);
    let limit = edge;
    if (!place.narrow && lane.kind !== "state") {
      const over = lane.series.some((series) => !series.faint && series.most > lane.high);
      const ends = lane.low === -lane.high ? `±${short(lane.high)}` : `${short(lane.low)}–${short(lane.high)}`, scale = ends + (over ? "+" : "");
      ctx.fillStyle = this.colour("--muted");
      ctx.textAlign = "right";
      ctx.fillText(scale, edge, middle);
      limit -= ctx.measureText(scale).width + this.px(8);
    }
    this.font(ctx, 12);
    ctx.fillStyle = this.colour("--text");
    const title = fit(ctx, lane.title, limit - this.px(8)), width = ctx.measureText(title).width;
    ctx.fillText(title, this.px(8), middle);
    this.font(ctx);
    ctx.fillStyle = this.colour("--muted");
    const x = this.px(8) + width + this.px(5);
    if (lane.unit && x + ctx.measureText(lane.unit).width <= limit) ctx.fillText(lane.unit, x, middle);
  }

  draw_lane(ctx, place, lane, top, height, cols) {
    if (lane.kind === "state") return this.draw_states(ctx, lane, top, height, cols);
    const scale = lane.high > lane.low ? (height - 1) / (lane.high - lane.low) : 0;
    const y = (value) => Math.round(top + height - 1 - (clamp(value, lane.low, lane.high) - lane.low) * scale);
    if (lane.low < 0 && lane.high > 0) {
      ctx.fillStyle = this.colour("--muted");
      ctx.globalAlpha = 0.5;
      ctx.fillRect(place.left, y(0), place.plot, 1);
      ctx.globalAlpha = 1;
    }
    const fill = cols.dense ? this.pixels.start(place.left, top, place.plot, height) : brush(ctx);
    for (let i = lane.series.length - 1; i >= 0; i--) {
      const series = lane.series[i], style = { colour: this.colour(series.colour), alpha: series.faint ? 0.6 : 1 };
      if (i === 0 && lane.kind === "count") this.draw_bars(fill, lane, series, style, y, top + height, cols);
      else if (cols.dense) this.draw_dense(fill, lane, series, style, y, cols);
      else this.draw_line(ctx, lane, series, style, y, cols);
    }
    if (cols.dense) this.pixels.finish(ctx);
    if (lane.warn_below !== null && lane.series.length) {
      const few = (i) => extent(lane.series[0].values, cols.f[i], Math.max(cols.f[i + 1], cols.f[i] + 1)).low < lane.warn_below;
      ctx.fillStyle = this.pattern(ctx, "lines", this.colour("--warn"));
      ctx.globalAlpha = 0.6;
      for (const [from, to] of runs(cols.n, few)) ctx.fillRect(cols.x[from], top - this.px(1), cols.x[to + 1] - cols.x[from], height + this.px(2));
      ctx.globalAlpha = 1;
    }
    if (lane.note && !lane.series.some((series) => series.any)) {
      this.font(ctx);
      ctx.fillStyle = this.colour("--muted");
      ctx.fillText(fit(ctx, lane.note, place.plot - this.px(8)), place.left + this.px(4), top + height / 2 + 1);
    }
  }

  /** Bars from the bottom. A column of several frames shows the worst of them. Zero is a line, nothing is nothing. */
  draw_bars(fill, lane, series, { colour }, y, bottom, cols) {
    let from = 0, height = -1; // of a run of equal columns, drawn as one
    const gap = !cols.dense && (cols.x[cols.n] - cols.x[0]) / cols.n >= this.px(8) ? this.px(1) : 0, line = Math.max(this.px(1), 1);
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
    this.draw_caps(fill, caps, cols, y(lane.high));
  }

  /** Every column from the least to the greatest value of its frames, so that nothing is lost. */
  draw_dense(fill, lane, series, { colour, alpha }, y, cols) {
    const thick = Math.max(this.px(series.faint ? 1 : 1.5), 1), caps = [];
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
    if (!series.faint) this.draw_caps(fill, caps, cols, y(lane.high));
  }

  draw_line(ctx, lane, series, { colour, alpha }, y, cols) {
    const middle = (i) => (cols.x[i] + cols.x[i + 1]) / 2, known = (f) => f >= 0 && f < this.count && !Number.isNaN(series.values[f]);
    const single = (cols.x[cols.n] - cols.x[0]) / cols.n >= this.px(9); // room for a mark on every frame
    const dots = [], caps = [], size = this.px(3), fill = brush(ctx);
    ctx.lineWidth = Math.max(this.px(series.faint ? 1 : 1.5), 1);
    ctx.lineJoin = "round";
    ctx.setLineDash(series.faint ? [this.px(3), this.px(3)] : []);
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
    if (!series.faint) this.draw_caps(fill, caps, cols, y(lane.high));
  }

  /** Marks what lies beyond the scale. */
  draw_caps(fill, caps, cols, y) {
    for (const i of caps) fill(cols.x[i], y, Math.max(cols.x[i + 1] - cols.x[i], this.px(2)), this.px(2), this.colour("--bad"));
  }

  /** Colour, height and texture tell the states apart. */
  draw_states(ctx, lane, top, height, cols) {
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
        const [name, texture, share] = looks[now], colour = this.colour(name), x = cols.x[from], width = Math.max(cols.x[i] - x, this.px(1));
        const tall = now === "t" ? this.px(2) : Math.round(height * share), y = top + height - tall;
        if (texture) {
          ctx.fillStyle = colour;
          ctx.globalAlpha = 0.25;
          ctx.fillRect(x, y, width, tall);
          ctx.globalAlpha = 1;
          if (texture === "lines") ctx.fillRect(x, y, width, this.px(2));
        }
        ctx.fillStyle = texture ? this.pattern(ctx, texture, colour) : colour;
        ctx.globalAlpha = now === "t" ? 0.5 : 1;
        ctx.fillRect(x, y, width, tall);
        ctx.globalAlpha = 1;
      }
      [from, now] = [i, next];
    }
  }

  draw_over() {
    const ctx = this.pens.over, place = this.layout();
    this.late = this.late_frame();
    ctx.clearRect(0, 0, this.over.width, this.over.height);
    this.place_button(place);
    if (!place) return;
    const { left, right, bottom } = place, px = (value) => this.px(value), seen = (x) => x >= left - 1 && x <= right + 1;
    this.draw_range(ctx, place);
    const centre = (frame) => Math.round(this.x(frame + 0.5, place));
    if (this.hover !== null && !this.drag && seen(centre(this.hover))) {
      ctx.fillStyle = this.colour("--text");
      ctx.globalAlpha = 0.35;
      ctx.fillRect(centre(this.hover), px(NUMBERS), 1, bottom - px(NUMBERS));
      ctx.globalAlpha = 1;
    }
    if (this.busy !== null && seen(centre(this.busy))) {
      const x = centre(this.busy), y = px(RULER);
      ctx.fillStyle = this.colour("--warn");
      ctx.beginPath();
      ctx.moveTo(x - px(4), y - px(7));
      ctx.lineTo(x + px(4), y - px(7));
      ctx.lineTo(x, y - px(1));
      ctx.fill();
    }
    if (this.late !== null && seen(centre(this.late))) {
      ctx.strokeStyle = this.colour("--text");
      ctx.lineWidth = Math.max(px(1), 1);
      ctx.setLineDash([px(3), px(3)]);
      ctx.beginPath();
      ctx.moveTo(centre(this.late) + 0.5, px(NUMBERS));
      ctx.lineTo(centre(this.late) + 0.5, bottom);
      ctx.stroke();
      ctx.setLineDash([]);
    }
  }

  /** The frame of the picture if it is not the current one, else null; while the time is dragged it is of no interest. */
  late_frame() {
    return this.shown !== this.frame && this.drag?.kind !== "seek" ? this.shown : null;
  }

  /** What changes with the time: the cursor, the numbers over it, the values at the current frame. */
  draw_time() {
    const place = this.layout(), { ruler, values, cursor, dpr } = this, px = (value) => this.px(value);
    const wide = px((place?.narrow ? NARROW_VALUES : VALUES) + PAD);
    for (const [canvas, width, height] of [[ruler, this.base.width, px(NUMBERS)], [values, wide, this.base.height]]) {
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      Object.assign(canvas.style, { width: `${width / dpr}px`, height: `${height / dpr}px` });
    }
    values.style.left = `${(this.base.width - wide) / dpr}px`;
    this.pens.ruler.clearRect(0, 0, ruler.width, ruler.height);
    this.pens.values.setTransform(1, 0, 0, 1, 0, 0);
    this.pens.values.clearRect(0, 0, values.width, values.height);
    cursor.hidden = true;
    if (!place) return;
    this.pens.values.setTransform(1, 0, 0, 1, wide - this.base.width, 0);
    this.draw_values(this.pens.values, place);
    const ctx = this.pens.ruler, x = Math.round(this.x(this.frame + 0.5, place)), taken = []; // stretches of the ruler that have a number
    const seen = (at) => at >= place.left - 1 && at <= place.right + 1;
    if (seen(x)) {
      const thick = Math.max(px(1.5), 1), top = px(NUMBERS - 2);
      cursor.hidden = false;
      Object.assign(cursor.style, { width: `${thick / dpr}px`, height: `${(place.bottom - top) / dpr}px` });
      cursor.style.transform = `translate(${(x - Math.floor(thick / 2)) / dpr}px, ${top / dpr}px)`;
      this.badge(ctx, place, this.frame, taken, true);
    }
    const late = this.late_frame();
    if (late !== null && seen(Math.round(this.x(late + 0.5, place)))) this.badge(ctx, place, late, taken, false);
    this.font(ctx);
    ctx.fillStyle = this.colour("--muted");
    for (const number of this.numbers ?? []) {
      const text = format(number, 0), width = ctx.measureText(text).width, at = this.ruler_x(place, number - 0.5, width);
      if (free(taken, at - px(3), at + width + px(3))) ctx.fillText(text, at, px(9));
    }
  }

  /** Where a number of this width stands in the ruler: over its frame, but not beyond the ends. */
  ruler_x(place, time, width) {
    const pad = this.px(PAD - 2);
    return Math.round(clamp(this.x(time, place) - width / 2, place.left - pad, place.right + pad - width));
  }

  /** The number of a frame: filled for the current one, outlined for that of the picture. */
  badge(ctx, place, frame, taken, filled) {
    this.font(ctx, 11, filled ? 600 : 400);
    const text = format(frame + 1, 0), width = Math.ceil(ctx.measureText(text).width) + this.px(8), x = this.ruler_x(place, frame + 0.5, width);
    if (!free(taken, x - this.px(1), x + width + this.px(1))) return;
    taken.push([x, x + width]);
    const edge = Math.max(this.px(1), 1), half = filled ? 0 : edge / 2;
    ctx.fillStyle = ctx.strokeStyle = this.colour(filled ? "--accent" : "--text");
    ctx.lineWidth = edge;
    ctx.beginPath();
    ctx.roundRect(x + half, this.px(1) + half, width - 2 * half, this.px(16) - 2 * half, this.px(3));
    if (filled) ctx.fill();
    else ctx.stroke();
    ctx.fillStyle = this.colour(filled ? "--bg" : "--text");
    ctx.fillText(text, x + this.px(4), this.px(9) + 0.5);
  }

  draw_range(ctx, place) {
    const [first, last] = this.range ?? [0, this.count - 1], { left, right, bottom } = place, px = (value) => this.px(value);
    const start = Math.round(this.x(first, place)), end = Math.round(this.x(last + 1, place));
    const from = clamp(start, left, right), to = clamp(end, left, right);
    if (this.range) {
      ctx.fillStyle = this.colour("--bg");
      ctx.globalAlpha = 0.6; // frames that are not in it
      ctx.fillRect(left, px(RULER), from - left, bottom - px(RULER));
      ctx.fillRect(to, px(RULER), right - to, bottom - px(RULER));
      ctx.globalAlpha = 1;
      ctx.fillStyle = this.colour("--accent");
      ctx.fillRect(from, px(NUMBERS + BAND / 2 - 2), to - from, px(4));
    }
    ctx.fillStyle = this.colour(this.range ? "--accent" : "--muted");
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
    this.font(ctx);
    const text = this.range ? `Range ${format(first + 1, 0)}–${format(last + 1, 0)}` : "Range: all frames";
    ctx.fillStyle = this.colour(this.range ? "--text" : "--muted");
    ctx.fillText(fit(ctx, text, place.gutter - px(12)), px(8), px(NUMBERS + BAND / 2));
  }

  draw_values(ctx, place) {
    const edge = place.width - this.px(8), put = (text, middle) => ctx.fillText(text, edge, middle);
    this.font(ctx);
    ctx.textAlign = "right";
    ctx.fillStyle = this.colour("--text");
    put(place.narrow ? format(this.frame + 1, 0) : `${format(this.frame + 1, 0)} / ${format(this.count, 0)}`, this.px(NUMBERS / 2));
    ctx.fillStyle = this.colour("--muted");
    put(`${format(this.frame / this.fps, 2)} s`, this.px(NUMBERS + BAND / 2));
    for (let i = 0; i < place.rows; i++) {
      const lane = this.lanes[i], middle = this.px(RULER) + i * place.row + place.row / 2 + 1;
      if (lane.kind === "state") {
        const names = { t: "--muted", d: "--good", s: "--warn", r: "--accent", f: "--bad" };
        ctx.fillStyle = this.colour(names[lane.states[this.frame]] ?? "--muted");
        put(STATES[lane.states[this.frame]] ?? "–", middle);
        continue;
      }
      let x = edge;
      const shown = lane.series.filter((series) => !series.faint).slice(0, place.narrow ? 1 : 2);
      for (const series of shown.reverse()) { // two are told apart by colour; one alone is read best in that of text
        const value = series.values[this.frame], text = format(value, lane.digits);
        ctx.fillStyle = this.colour(value !== value ? "--muted" : shown.length > 1 ? series.colour : "--text");
        ctx.fillText(text, x, middle);
        x -= ctx.measureText(text).width + this.px(8);
      }
    }
  }

  /** "Run" right of the range's end, or left of its beginning where there is no room. */
  place_button(place) {
    this.button.hidden = !this.range || !place;
    if (this.button.hidden) return;
    const [first, last] = this.range, text = first === last ? `Run ${format(first + 1, 0)}` : `Run ${format(first + 1, 0)}–${format(last + 1, 0)}`;
    if (this.button.textContent !== text) {
      this.button.textContent = text;
      const long = first === last ? `Reconstruct frame ${first + 1}` : `Reconstruct just frames ${first + 1} to ${last + 1}`;
      this.button.title = long;
      this.button.setAttribute("aria-label", long);
    }
    const css = (value) => value / this.dpr, width = this.button.offsetWidth, gap = GRIP + 5;
    const start = css(this.x(first, place)), end = css(this.x(last + 1, place)), left = css(place.left), right = css(place.right) + PAD;
    let x = clamp(end, left, right) + gap;
    if (x + width > right) x = start - gap - width >= left ? start - gap - width : clamp(end - 3, left, right) - width;
    this.button.style.left = `${Math.round(clamp(x, left, right - width))}px`;
  }
}

const sorted = (a, b) => [Math.min(a, b), Math.max(a, b)];

const free = (taken, from, to) => taken.every(([start, end]) => to <= start || from >= end);

function tally(text, code) {
  let found = 0;
  for (const letter of text) found += letter === code ? 1 : 0;
  return found;
}

function element(tag, text, className = "") {
  return Object.assign(document.createElement(tag), { textContent: text, className });
}

/** First and last of every stretch of columns for which ``holds``. */
function* runs(n, holds) {
  let from = -1;
  for (let i = 0; i <= n; i++) {
    if (i < n && holds(i)) from = from < 0 ? i : from;
    else if (from >= 0) {
      yield [from, i - 1];
      from = -1;
    }
  }
}

function fit(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  let keep = text.length;
  while (keep > 1 && ctx.measureText(text.slice(0, keep) + "…").width > width) keep--;
  return text.slice(0, keep) + "…";
}

/** A lane as the server sends it; what has not changed is taken from the lane as it was. */
function read(entry, old) {
  const number = (value) => (value === null ? NaN : Number(value)); // "Infinity" is text
  const series = entry.series.map((sent, i) => {
    let values;
    if (sent.values) values = Float64Array.from(sent.values, number);
    else {
      values = old.series[i].values;
      sent.at.forEach((frame, k) => (values[frame] = number(sent.to[k])));
    }
    const finite = values.filter(Number.isFinite);
    return { ...sent, values, any: finite.length > 0 || values.some((value) => value === value), most: finite.reduce((a, b) => Math.max(a, b), -Infinity) };
  });
  return { ...entry, series };
}

export default {
  template: `
    <div class="timeline" ref="root">
      <canvas ref="base" aria-hidden="true"></canvas>
      <canvas ref="over" aria-hidden="true"></canvas>
      <canvas ref="ruler" aria-hidden="true"></canvas>
      <canvas ref="values" aria-hidden="true"></canvas>
      <div class="timeline-cursor" ref="cursor" hidden></div>
      <div class="timeline-surface" ref="surface" role="slider" tabindex="0" aria-orientation="horizontal"></div>
      <button class="timeline-run" ref="button" type="button" hidden></button>
    </div>`,
  props: { frame_count: Number, fps: Number, label: String, number: String },
  emits: ["ready", "seek", "range", "run_range", "menu"],
  mounted() {
    if (!document.getElementById("timeline-style")) {
      document.head.append(Object.assign(document.createElement("style"), { id: "timeline-style", textContent: STYLE }));
    }
    const { root, surface } = this.$refs;
    surface.setAttribute("aria-label", this.label);
    surface.setAttribute("aria-description", HELP);
    this.drawn = new View(root, this.$refs, (name, data) => this.$emit(name, data));
    this.drawn.number = this.number; // id of a field that shows the frame
    this.drawn.clip(this.frame_count, this.fps);
    root.timeline = this.drawn; // for tests
    this.$emit("ready");
  },
  beforeUnmount() {
    this.drawn.close();
  },
  methods: {
    set_frame(frame, shown, serial) {
      this.drawn.set_frame(frame, shown, serial);
    },
    set_lanes(entries) {
      this.drawn.set_lanes(entries);
    },
    set_range(range) {
      this.drawn.set_range(range);
    },
    set_busy(frame) {
      this.drawn.set_busy(frame);
    },
  },
};
