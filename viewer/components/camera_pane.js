// One camera pane: the server's picture on a canvas, marks of tracks drawn over it by the page, pan, zoom, wipe line, picking, legend.
// Coordinates are camera pixels with centres at +0.5; canvases are in device pixels. Text from files is only ever set as textContent.

const PIXELATED = 3; // device pixels per camera pixel from which on pixels are drawn as squares and the zoom is a whole number
const GRID_FROM = 8; // CSS pixels per camera pixel from which on the pixel grid is drawn
const LARGEST_ZOOM = 80; // device pixels per camera pixel
const LARGEST_SIDE = 4096; // device pixels of a canvas
const PICK_RADIUS = 8; // CSS pixels
const WIPE_REACH = 7; // CSS pixels on both sides of the line
const HOVER_EVERY = 50; // milliseconds
const ID_PART = 2n ** 20n;
const PLAIN_FROM = 1500; // marks from which on they are drawn without smooth edges, to stay quick
const UNKNOWN = [154, 164, 178]; // colour of a mark without a value

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function number(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value)) return String(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : size >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// -- the socket that all panes of the page share ----------------------------------------------------------------------

const links = new Map();

class Link {
  static of(url, tab) {
    const key = `${url} ${tab}`;
    if (!links.has(key)) links.set(key, new Link(key, url, tab));
    return links.get(key);
  }

  constructor(key, url, tab) {
    this.key = key;
    const address = new URL(`${url}?tab=${encodeURIComponent(tab)}`, location.href); // a proxy may serve the page below a path
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.address = address.href;
    this.panes = new Map();
    this.patience = 500; // milliseconds until the next try
    this.open();
  }

  open() {
    this.timer = undefined;
    this.socket = new WebSocket(this.address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.patience = 500;
      for (const pane of this.panes.values()) pane.introduce();
    };
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = () => {
      if (!this.panes.size) return;
      for (const pane of this.panes.values()) pane.disconnected();
      this.timer = setTimeout(() => this.open(), this.patience);
      this.patience = Math.min(this.patience * 2, 8000);
    };
  }

  receive(data) {
    if (!(data instanceof ArrayBuffer)) return;
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const pane = this.panes.get(header.pane);
    if (!pane) return;
    if (header.t === "picture") pane.receivePicture(header, data.slice(4 + length));
    else if (header.t === "overlay") pane.receiveOverlay(header, data.slice(4 + length));
    else if (header.t === "state") pane.receiveState(header);
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  join(index, pane) {
    this.panes.set(index, pane);
    if (this.socket.readyState === WebSocket.OPEN) pane.introduce();
  }

  leave(index, pane) {
    if (this.panes.get(index) !== pane) return;
    this.send({ t: "gone", pane: index });
    this.panes.delete(index);
    if (this.panes.size) return;
    clearTimeout(this.timer);
    links.delete(this.key);
    this.socket.close();
  }
}

// -- marks: sprites and lines written into the pixels of a canvas: ten thousand of them within a frame --------------------

class Raster {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer); // little-endian: alpha, blue, green, red
    this.first = height; // rows that have been written
    this.last = -1;
  }

  clear() {
    if (this.last >= this.first) this.pixels.fill(0, this.first * this.width, (this.last + 1) * this.width);
    this.first = this.height;
    this.last = -1;
  }

  rows(first, last) {
    if (first < this.first) this.first = Math.max(first, 0);
    if (last > this.last) this.last = Math.min(last, this.height - 1);
  }

  // `colour` over what is there, in whole numbers: colours are not premultiplied with alpha.
  put(at, colour) {
    const below = this.pixels[at];
    const alpha = colour >>> 24;
    if (below === 0 || alpha === 255) {
      this.pixels[at] = colour;
      return;
    }
    const rest = ((below >>> 24) * (255 - alpha) * 257 + 257) >>> 16; // of 255
    const whole = alpha + rest;
    const share = ((alpha << 8) / whole) | 0; // of 256
    const other = 256 - share;
    const odd = ((colour & 0xff00ff) * share + (below & 0xff00ff) * other) >>> 8;
    const even = (((colour >>> 8) & 255) * share + ((below >>> 8) & 255) * other) & 0xff00;
    this.pixels[at] = (whole << 24) | (odd & 0xff00ff) | even;
  }

  blit(sprite, x, y) {
    const left = Math.floor(x) - sprite.middle;
    const top = Math.floor(y) - sprite.middle;
    const { size, xs, ys, colours } = sprite;
    const { width, height, pixels } = this;
    if (left < -size || top < -size || left >= width || top >= height) return;
    this.rows(top, top + size);
    const inside = left >= 0 && top >= 0 && left + size <= width && top + size <= height;
    const base = top * width + left;
    for (let i = 0; i < colours.length; i++) {
      const px = xs[i];
      const py = ys[i];
      if (!inside && (left + px < 0 || left + px >= width || top + py < 0 || top + py >= height)) continue;
      const at = base + py * width + px;
      const colour = colours[i];
      if (pixels[at] === 0 || colour >>> 24 === 255) pixels[at] = colour;
      else this.put(at, colour);
    }
  }

  // A line of single whole pixels, which blends with nothing.
  plainLine(x0, y0, x1, y1, rgb, alpha) {
    const { width, height, pixels } = this;
    const steps = Math.ceil(Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)));
    if (!(steps < 4 * (width + height))) return;
    const dx = (x1 - x0) / steps;
    const dy = (y1 - y0) / steps;
    const colour = ((alpha * 255) << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0];
    this.rows(Math.floor(Math.min(y0, y1)), Math.ceil(Math.max(y0, y1)));
    for (let i = 0; i <= steps; i++) {
      const x = (x0 + i * dx) | 0;
      const y = (y0 + i * dy) | 0;
      if (x >= 0 && y >= 0 && x < width && y < height) pixels[y * width + x] = colour;
    }
  }

  // An anti-aliased line, `thickness` device pixels thick across its longer axis.
  line(x0, y0, x1, y1, rgb, alpha, thickness) {
    const steep = Math.abs(y1 - y0) > Math.abs(x1 - x0);
    if (steep) [x0, y0, x1, y1] = [y0, x0, y1, x1];
    if (x0 > x1) [x0, y0, x1, y1] = [x1, y1, x0, y0];
    const across = steep ? this.width : this.height;
    const along = steep ? this.height : this.width;
    const slope = x1 > x0 ? (y1 - y0) / (x1 - x0) : 0;
    const first = Math.max(Math.round(x0), 0);
    const last = Math.min(Math.round(x1), along - 1);
    if (first > last || Math.max(y0, y1) < -thickness || Math.min(y0, y1) > across + thickness) return;
    const colour = (rgb[2] << 16) | (rgb[1] << 8) | rgb[0];
    if (steep) this.rows(first, last);
    else this.rows(Math.floor(Math.min(y0, y1)) - thickness - 1, Math.ceil(Math.max(y0, y1)) + thickness + 1);
    for (let x = first; x <= last; x++) {
      const top = y0 + slope * (x + 0.5 - x0) - thickness / 2;
      const end = top + thickness;
      for (let y = Math.floor(top); y < end; y++) {
        if (y < 0 || y >= across) continue;
        const cover = Math.min(end, y + 1) - Math.max(top, y);
        const a = (cover * alpha * 255) | 0;
        if (a > 0) this.put(steep ? x * this.width + y : y * this.width + x, (a << 24) | colour);
      }
    }
  }
}

const sprites = new Map();

function sprite(shape, rgb, ratio, plain) {
  const key = `${shape} ${rgb} ${ratio} ${plain}`;
  if (sprites.has(key)) return sprites.get(key);
  if (sprites.size > 2000) sprites.clear();
  const size = 2 * Math.ceil(5.5 * ratio) + 1;
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d");
  context.translate(size / 2, size / 2);
  context.scale(ratio, ratio);
  context.lineCap = "round";
  const outline = new Path2D();
  if (shape === "dot" || shape === "hollow") outline.arc(0, 0, shape === "dot" ? 2.6 : 2.9, 0, 2 * Math.PI);
  else if (shape === "diamond") for (const [x, y] of [[0, -4], [4, 0], [0, 4], [-4, 0], [0, -4]]) outline.lineTo(x, y);
  else if (shape === "cross") for (const [x, y] of [[1, 0], [0, 1]]) (outline.moveTo(-4 * x, -4 * y), outline.lineTo(4 * x, 4 * y));
  else for (const s of [1, -1]) (outline.moveTo(-3, -3 * s), outline.lineTo(3, 3 * s));
  const colour = `rgb(${rgb[0]} ${rgb[1]} ${rgb[2]})`;
  context.strokeStyle = "rgb(0 0 0 / 65%)";
  context.lineWidth = shape === "dot" ? 2 : 2.8;
  context.stroke(outline);
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 1.4;
  if (shape === "dot") context.fill(outline);
  else context.stroke(outline);
  const pixels = new Uint32Array(context.getImageData(0, 0, size, size).data.buffer);
  const there = Array.from(pixels.keys()).filter((i) => pixels[i] >>> 24 > (plain ? 127 : 8));
  const made = {
    size,
    middle: (size - 1) / 2,
    xs: Int16Array.from(there, (i) => i % size),
    ys: Int16Array.from(there, (i) => Math.floor(i / size)),
    colours: Uint32Array.from(there, (i) => (plain ? pixels[i] | 0xff000000 : pixels[i])),
  };
  sprites.set(key, made);
  return made;
}

// -- style --------------------------------------------------------------------------------------------------------------

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

function installStyle() {
  if (document.getElementById("tsp-style")) return;
  const style = make("style", "", STYLE);
  style.id = "tsp-style";
  document.head.append(style);
}

// -- the component --------------------------------------------------------------------------------------------------------

const ROLES = {
  training: "Used for reconstruction",
  "held out": "Never used for reconstruction, only for measuring",
  made: "Made around the imported scene: nobody filmed it",
};
const SHAPES = { measured: "●", hollow: "○", ended: "×", reprojected: "+", rendered: "◇", residual: "→", trail: "—" };

export default {
  template: `
    <div class="tsp" tabindex="0" role="application" aria-roledescription="camera pane">
      <div class="tsp-bar">
        <span class="tsp-name"></span><span class="tsp-role"></span><span class="tsp-frame"></span><span class="tsp-what"></span>
        <span class="tsp-gap"></span><span class="tsp-score"></span><span class="tsp-ssim"></span>
        <span class="tsp-pixels"></span><span class="tsp-extent"></span>
      </div>
      <div class="tsp-stage">
        <canvas aria-hidden="true"></canvas><canvas aria-hidden="true"></canvas>
        <img class="tsp-photo" alt="" hidden>
        <div class="tsp-wipe" tabindex="0" role="slider" aria-label="Wipe line" aria-valuemin="0" aria-valuemax="100" hidden></div>
        <div class="tsp-note" role="status" hidden></div>
        <div class="tsp-legend" hidden></div>
        <div class="tsp-message" role="status" hidden></div>
        <div class="tsp-tip" hidden></div>
      </div>
    </div>`,
  props: {
    pane: { type: Number, default: 0 },
    tab: { type: String, default: "" },
    url: { type: String, default: "pictures" },
    photo: { type: String, default: "" }, // address of what is shown until the first picture
    active: Boolean,
    marks: { type: Object, default: () => ({}) }, // measured, reprojected, rendered, trails: booleans; residual: factor; colour; categories
    selection: { type: Array, default: () => [] }, // ids of tracks in three parts
    epipolar: { type: Object, default: null }, // camera: name, segment: [x0, y0, x1, y1]
  },
  emits: ["pick", "wipe", "hover", "correct", "activate"],
  watch: {
    marks: { deep: true, handler() { this.readMarks(); this.drawLegend(); this.redraw(); } },
    selection: { deep: true, handler() { this.redraw(); } },
    epipolar: { deep: true, handler() { this.drawLegend(); this.redraw(); } },
    active: { handler() { this.$el.classList.toggle("active", this.active); } },
  },

  created() { // not reactive: large, and drawn by hand
    Object.assign(this, { width: 0, height: 0, ratio: 1, picture: null, whole: null, overlays: [], overlay: null, view: null, drag: null, hovered: -1 });
    Object.assign(this, { pointer: null, legendOpen: null, refused: null, wipeAt: null, legendContent: "", unacknowledged: null, frameRequested: false, viewSent: "", decoding: 0 });
  },

  mounted() {
    installStyle();
    this.readMarks();
    const part = (name) => this.$el.querySelector(`.tsp-${name}`);
    this.parts = Object.fromEntries(["name", "role", "frame", "what", "score", "ssim", "pixels", "extent", "stage", "wipe", "note", "legend", "message", "tip", "photo"].map((n) => [n, part(n)]));
    [this.canvas, this.top] = this.$el.querySelectorAll("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.topContext = this.top.getContext("2d", { willReadFrequently: true });
    this.$el.classList.toggle("active", this.active);
    this.say("loading", "Waiting for the first picture …");
    if (this.photo) Object.assign(this.parts.photo, { src: this.photo, hidden: false });
    this.describe();
    const listen = (name, handler, options) => this.parts.stage.addEventListener(name, handler, options);
    listen("wheel", (event) => this.onWheel(event), { passive: false });
    listen("pointerdown", (event) => this.onDown(event));
    listen("pointermove", (event) => this.onMove(event));
    listen("pointerup", (event) => this.onUp(event));
    listen("pointercancel", () => this.endDrag());
    listen("pointerleave", () => this.onLeave());
    listen("dblclick", () => this.fit());
    this.$el.addEventListener("keydown", (event) => this.onKey(event));
    this.$el.addEventListener("focusin", () => this.$emit("activate", { pane: this.pane }));
    this.observer = new ResizeObserver((entries) => this.onResize(entries[entries.length - 1]));
    try {
      this.observer.observe(this.parts.stage, { box: "device-pixel-content-box" });
    } catch {
      this.observer.observe(this.parts.stage);
    }
    // For tools that lie over the pane: camera pixels under an event, and their number per CSS pixel.
    this.$el.pointAt = (event) => ({ ...this.at(event), scale: this.ratio / this.mapping().sx });
    this.link = Link.of(this.url, this.tab);
    this.link.join(this.pane, this);
  },

  beforeUnmount() {
    this.observer.disconnect();
    this.link.leave(this.pane, this);
    this.picture?.bitmap.close();
    if (this.whole !== this.picture) this.whole?.bitmap.close();
  },

  methods: {
    // Properties are watched by Vue at every access, which is slow in loops: drawing uses a copy.
    readMarks() {
      this.style = JSON.parse(JSON.stringify(this.marks));
    },

    // -- the server -------------------------------------------------------------------------------------------------------

    introduce() {
      this.viewSent = "";
      this.sendSize();
      this.sendView();
    },

    sendSize() {
      if (this.width && this.height) this.link?.send({ t: "size", pane: this.pane, w: this.width, h: this.height });
    },

    sendView() {
      const header = this.picture?.header;
      let rect = null;
      if (this.view && header) {
        const { sx, sy, ox, oy } = this.view;
        rect = [ox, oy, ox + this.width / sx, oy + this.height / sy];
      }
      const message = { t: "view", pane: this.pane, rect, camera: header?.index ?? 0 };
      const text = JSON.stringify(message);
      if (text === this.viewSent) return;
      this.viewSent = text;
      this.link?.send(message);
    },

    disconnected() {
      this.say("error", "The server does not answer. The page tries again by itself; if it was stopped, start trackersplat-view again.");
    },

    receiveState(header) {
      this.refused = header.kind === "error" && header.camera !== undefined ? header : null;
      this.decoding += 1; // a picture that is still being decoded is older than this
      if (header.kind === "error") {
        this.parts.photo.remove();
        this.picture?.bitmap.close();
        if (this.whole !== this.picture) this.whole?.bitmap.close();
        this.picture = this.whole = this.overlay = null;
        this.drawLabels();
        this.redraw();
      }
      this.say(header.kind, header.sentence);
    },

    async receivePicture(header, data) {
      const turn = ++this.decoding;
      let bitmap;
      try {
        bitmap = await createImageBitmap(new Blob([data], { type: header.mime }), { colorSpaceConversion: "none" });
      } catch {
        this.say("error", "The browser could not decode the picture.");
        return;
      }
      if (turn !== this.decoding) return bitmap.close();
      this.parts.photo.remove();
      const before = this.picture;
      const picture = { header, bitmap, content: JSON.stringify(header.content) };
      if (before && before.header.index !== header.index) {
        this.view = null;
        this.hideTip();
      }
      const everything = header.rect[0] === 0 && header.rect[1] === 0 && header.rect[2] === header.size[0] && header.rect[3] === header.size[1];
      const whole = this.whole;
      this.picture = picture;
      if (everything) this.whole = picture;
      else if (whole && whole.content !== picture.content) this.whole = null;
      for (const old of new Set([before, whole])) if (old && old !== this.picture && old !== this.whole) old.bitmap.close();
      if (!this.drag?.wipes && (header.wipe === null || header.exact)) this.wipeAt = null; // the line is where the server has it
      this.unacknowledged = header.serial;
      this.chooseOverlay();
      this.say("", "");
      this.redraw();
    },

    receiveOverlay(header, data) {
      const columns = header.count;
      const values = new Float32Array(data);
      const row = (index) => values.subarray(index * columns, (index + 1) * columns);
      const overlay = { header, count: columns };
      header.fields.forEach((name, index) => { overlay[name] = row(index); });
      overlay.trails = Array.from({ length: header.trail }, (_, i) => [row(header.fields.length + 2 * i), row(header.fields.length + 2 * i + 1)]);
      this.overlays = [overlay, ...this.overlays.slice(0, 1)];
      if (this.chooseOverlay()) this.redraw();
    },

    // Only marks of the very frame that is on the screen are drawn.
    chooseOverlay() {
      const header = this.picture?.header;
      const found = header ? this.overlays.find((o) => o.header.frame === header.wanted && o.header.index === header.index) ?? null : null;
      const changed = found !== this.overlay;
      this.overlay = found;
      if (changed) this.hideTip();
      return changed;
    },

    // -- the view -----------------------------------------------------------------------------------------------------------

    onResize(entry) {
      const exact = entry.devicePixelContentBoxSize?.[0];
      const ratio = window.devicePixelRatio || 1;
      // The exact size tells how the browser rounded; an emulated device scale leaves it in CSS pixels.
      const size = (css, told) => (told !== undefined && Math.abs(told - css * ratio) <= 1 ? told : Math.round(css * ratio));
      const width = size(entry.contentRect.width, exact?.inlineSize);
      const height = size(entry.contentRect.height, exact?.blockSize);
      const centre = this.view && [this.view.ox + this.width / 2 / this.view.sx, this.view.oy + this.height / 2 / this.view.sy];
      this.ratio = ratio;
      this.width = clamp(width, 0, LARGEST_SIDE);
      this.height = clamp(height, 0, LARGEST_SIDE);
      if (!this.width || !this.height) return;
      for (const canvas of [this.canvas, this.top]) Object.assign(canvas, { width: this.width, height: this.height });
      this.raster = new Raster(this.width, this.height);
      if (centre) this.setZoom(this.view.zoom, centre[0], centre[1], this.width / 2, this.height / 2);
      this.sendSize();
      this.sendView();
      this.draw(); // at once: resizing has cleared the canvases
    },

    // How camera pixels lie on the canvas: sx, sy device pixels each, the left top corner at ox, oy.
    mapping() {
      if (this.view) return this.view;
      const [width, height] = this.picture ? this.picture.header.size : [4, 3];
      const scale = Math.min(this.width / width, this.height / height);
      const sx = Math.max(Math.round(width * scale), 1) / width;
      const sy = Math.max(Math.round(height * scale), 1) / height;
      const left = Math.floor((this.width - width * sx) / 2);
      const top = Math.floor((this.height - height * sy) / 2);
      return { sx, sy, ox: -left / sx, oy: -top / sy, zoom: scale };
    },

    fitZoom() {
      const [width, height] = this.picture.header.size;
      return Math.min(this.width / width, this.height / height);
    },

    // Puts the camera point (x, y) at the canvas point (px, py); below the zoom that fits, all is shown.
    setZoom(zoom, x, y, px, py) {
      if (!this.picture) return;
      if (zoom <= this.fitZoom() * 1.001) {
        this.view = null;
      } else {
        zoom = Math.min(zoom, Math.max(LARGEST_ZOOM, this.fitZoom()));
        const scale = zoom >= PIXELATED ? Math.round(zoom) : zoom;
        const [width, height] = this.picture.header.size;
        const inside = (offset, room, size) => clamp(offset, -room / 2 / scale, size - room / 2 / scale);
        const onPixels = (offset) => Math.round(offset * scale) / scale;
        const ox = onPixels(inside(x - px / scale, this.width, width));
        const oy = onPixels(inside(y - py / scale, this.height, height));
        this.view = { sx: scale, sy: scale, ox, oy, zoom };
      }
      this.redraw();
    },

    zoomBy(factor, px = this.width / 2, py = this.height / 2) {
      if (!this.picture) return;
      const { sx, sy, ox, oy, zoom } = this.mapping();
      this.setZoom(zoom * factor, ox + px / sx, oy + py / sy, px, py);
    },

    pan(dx, dy) { // device pixels
      if (!this.view) return;
      const { sx, sy, ox, oy, zoom } = this.view;
      this.setZoom(zoom, ox + dx / sx, oy + dy / sy, 0, 0);
    },

    fit() {
      this.view = null;
      this.redraw();
    },

    // -- drawing --------------------------------------------------------------------------------------------------------------

    redraw() {
      if (this.frameRequested) return;
      this.frameRequested = true;
      requestAnimationFrame(() => {
        this.frameRequested = false;
        if (!this.$el?.isConnected) return;
        this.draw();
        this.sendView();
      });
    },

    draw() {
      if (!this.width || !this.height) return;
      this.drawPicture();
      this.drawMarks();
      this.placeWipe();
      if (this.unacknowledged !== null) {
        this.link.send({ t: "ack", pane: this.pane, serial: this.unacknowledged });
        const header = this.picture.header;
        Object.assign(this.$el.dataset, { serial: header.serial, frame: header.frame, exact: header.exact, camera: header.camera });
        this.unacknowledged = null;
        this.drawLabels();
        this.$el.dispatchEvent(new CustomEvent("shown", { detail: { serial: header.serial, frame: header.frame, exact: header.exact } }));
      }
      this.parts.stage.classList.toggle("pans", !!this.view);
    },

    drawPicture() {
      const { context } = this;
      context.fillStyle = getComputedStyle(this.$el).backgroundColor;
      context.fillRect(0, 0, this.width, this.height);
      if (!this.picture) return;
      const { sx, sy, ox, oy } = this.mapping();
      const layers = this.whole && this.whole !== this.picture ? [this.whole, this.picture] : [this.picture];
      for (const { header, bitmap } of layers) {
        const [x0, y0, x1, y1] = header.rect;
        const left = Math.round((x0 - ox) * sx);
        const top = Math.round((y0 - oy) * sy);
        const width = Math.round((x1 - ox) * sx) - left;
        const height = Math.round((y1 - oy) * sy) - top;
        context.imageSmoothingEnabled = sx < PIXELATED || bitmap.width < x1 - x0;
        context.drawImage(bitmap, left, top, width, height);
      }
    },

    colourOf() {
      const colour = this.style.colour;
      const overlay = this.overlay;
      if (!colour || !overlay || !overlay[colour.field]) return () => UNKNOWN;
      const values = overlay[colour.field];
      const { palette, stops, low, high } = colour;
      if (palette?.length) {
        const ids = colour.field === "id0" && overlay.id1;
        return (i) => {
          const value = ids ? values[i] + 7 * overlay.id1[i] + 3 * overlay.id2[i] : values[i];
          return value >= 0 ? palette[value % palette.length] ?? UNKNOWN : UNKNOWN;
        };
      }
      if (!stops?.length) return () => UNKNOWN;
      const most = stops.length - 1;
      return (i) => {
        const value = values[i];
        return value === value ? stops[Math.round(clamp((value - low) / (high - low), 0, 1) * most)] : UNKNOWN;
      };
    },

    drawMarks() {
      const { raster, topContext, overlay } = this;
      const before = [raster.first, raster.last];
      raster.clear();
      topContext.clearRect(0, 0, this.width, this.height);
      if (this.picture && overlay?.count) this.rasterMarks(overlay);
      if (raster.last >= raster.first) {
        topContext.putImageData(raster.image, 0, 0, 0, raster.first, this.width, raster.last - raster.first + 1);
      }
      if (!this.picture) return;
      this.drawGrid();
      this.drawEpipolar();
      if (overlay?.count) this.drawSelection(overlay);
    },

    rasterMarks(overlay) {
      const { raster, style: marks, ratio } = this;
      const { sx, sy, ox, oy } = this.mapping();
      const colourOf = this.colourOf();
      const colours = Array.from({ length: overlay.count }, (_, i) => colourOf(i));
      const plain = overlay.count >= PLAIN_FROM;
      const thick = Math.max(1, Math.round(1.2 * ratio));
      // Many marks in a small pane are drawn smaller: by the room, in CSS pixels, that each would have if they filled the image.
      const [width, height] = this.picture.header.size;
      const room = Math.sqrt((width * sx * height * sy) / overlay.count) / ratio;
      const size = Math.round(8 * ratio * clamp(room / 48, 0.6, 1)) / 8;
      const { x, y, reprojected_x: rx, reprojected_y: ry, rendered_x: gx, rendered_y: gy, visibility, ended } = overlay;
      const k = marks.residual ?? 1;
      const margin = 40 * ratio;
      const outside = (px, py) => !(px > -margin && py > -margin && px < this.width + margin && py < this.height + margin);
      if (marks.trails !== false) {
        for (let i = 0; i < overlay.count; i++) {
          let fromX = (x[i] - ox) * sx;
          let fromY = (y[i] - oy) * sy;
          const rgb = colours[i];
          for (let age = 0; age < overlay.trails.length; age++) {
            const toX = (overlay.trails[age][0][i] - ox) * sx;
            const toY = (overlay.trails[age][1][i] - oy) * sy;
            const length = Math.abs(toX - fromX) + Math.abs(toY - fromY); // nan where there is a gap
            if (length < 0.75) continue;
            if (length >= 0.75 && !(outside(fromX, fromY) && outside(toX, toY))) {
              const alpha = 0.85 * (1 - age / (overlay.trails.length + 1));
              if (plain) raster.plainLine(fromX, fromY, toX, toY, rgb, alpha);
              else raster.line(fromX, fromY, toX, toY, rgb, alpha, thick);
            }
            fromX = toX;
            fromY = toY;
          }
        }
      }
      if (marks.measured !== false && k > 0) {
        for (let i = 0; i < overlay.count; i++) {
          const fromX = (x[i] - ox) * sx;
          const fromY = (y[i] - oy) * sy;
          const toX = fromX + k * (rx[i] - x[i]) * sx;
          const toY = fromY + k * (ry[i] - y[i]) * sy;
          if (Math.abs(toX - fromX) + Math.abs(toY - fromY) >= 1.5 && !(outside(fromX, fromY) && outside(toX, toY))) {
            if (plain) raster.plainLine(fromX, fromY, toX, toY, colours[i], 0.9);
            else raster.line(fromX, fromY, toX, toY, colours[i], 0.9, thick);
          }
        }
      }
      const shapes = [["rendered", gx, gy, "diamond"], ["reprojected", rx, ry, "cross"], ["measured", x, y, "dot"]];
      for (const [kind, xs, ys, shape] of shapes) {
        if (marks[kind] === false) continue;
        const made = { dot: new Map(), hollow: new Map(), ended: new Map(), cross: new Map(), diamond: new Map() };
        for (let i = 0; i < overlay.count; i++) {
          const px = (xs[i] - ox) * sx;
          const py = (ys[i] - oy) * sy;
          if (outside(px, py)) continue;
          if (plain && kind !== "measured" && marks.measured !== false) {
            const apart = Math.abs((xs[i] - x[i]) * sx) + Math.abs((ys[i] - y[i]) * sy);
            if (apart < 2 * ratio) continue; // under the measured dot
          }
          const form = kind !== "measured" ? shape : ended[i] ? "ended" : visibility[i] < 0.5 ? "hollow" : shape;
          let stamp = made[form].get(colours[i]);
          if (!stamp) made[form].set(colours[i], (stamp = sprite(form, colours[i], size, plain)));
          raster.blit(stamp, px, py);
        }
      }
    },

    drawGrid() {
      const { sx, sy, ox, oy } = this.mapping();
      if (sx / this.ratio < GRID_FROM) return;
      const [width, height] = this.picture.header.size;
      const context = this.topContext;
      context.globalCompositeOperation = "destination-over";
      context.fillStyle = "rgb(128 128 128 / 35%)";
      const line = Math.max(1, Math.floor(this.ratio));
      const left = clamp((0 - ox) * sx, 0, this.width);
      const right = clamp((width - ox) * sx, 0, this.width);
      const top = clamp((0 - oy) * sy, 0, this.height);
      const bottom = clamp((height - oy) * sy, 0, this.height);
      for (let x = Math.ceil(Math.max(ox, 0)); x <= Math.min(ox + this.width / sx, width); x++) context.fillRect((x - ox) * sx, top, line, bottom - top);
      for (let y = Math.ceil(Math.max(oy, 0)); y <= Math.min(oy + this.height / sy, height); y++) context.fillRect(left, (y - oy) * sy, right - left, line);
      context.globalCompositeOperation = "source-over";
    },

    drawEpipolar() {
      if (!this.epipolar) return;
      const { sx, sy, ox, oy } = this.mapping();
      const [x0, y0, x1, y1] = this.epipolar.segment;
      const context = this.topContext;
      for (const [colour, width] of [["rgb(0 0 0 / 70%)", 3], ["#f0e442", 1.4]]) {
        context.strokeStyle = colour;
        context.lineWidth = width * this.ratio;
        context.setLineDash([6 * this.ratio, 4 * this.ratio]);
        context.beginPath();
        context.moveTo((x0 - ox) * sx, (y0 - oy) * sy);
        context.lineTo((x1 - ox) * sx, (y1 - oy) * sy);
        context.stroke();
      }
      context.setLineDash([]);
    },

    drawSelection(overlay) {
      const context = this.topContext;
      const { sx, sy, ox, oy } = this.mapping();
      const ring = (i, radius, width, colour) => {
        const px = (x => (x - ox) * sx)(overlay.x[i] === overlay.x[i] ? overlay.x[i] : overlay.rendered_x[i]);
        const py = (y => (y - oy) * sy)(overlay.y[i] === overlay.y[i] ? overlay.y[i] : overlay.rendered_y[i]);
        for (const [stroke, extra] of [["rgb(0 0 0 / 80%)", 2], [colour, 0]]) {
          context.strokeStyle = stroke;
          context.lineWidth = (width + extra) * this.ratio;
          context.beginPath();
          context.arc(px, py, radius * this.ratio, 0, 2 * Math.PI);
          context.stroke();
        }
      };
      if (this.hovered >= 0 && this.hovered < overlay.count) ring(this.hovered, 7, 1, "#e6e9ee");
      for (const [low, middle, high] of this.selection) {
        for (let i = 0; i < overlay.count; i++) {
          if (overlay.id0[i] === low && overlay.id1[i] === middle && overlay.id2[i] === high) ring(i, 9, 2, "#ffffff");
        }
      }
    },

    // -- texts ----------------------------------------------------------------------------------------------------------------

    drawLabels() {
      const header = this.picture?.header ?? this.refused;
      const { name, role, frame, what, score, ssim, pixels, extent, note } = this.parts;
      const set = (element, text, title = text) => {
        if (element.textContent !== text) element.textContent = text; // what stays as it is costs no layout
        if (element.title !== title) element.title = title;
        if (element.hidden === !!text) element.hidden = !text;
      };
      set(name, header?.camera ?? "", header ? `Camera ${header.camera}` : "");
      set(role, header?.role ?? "", ROLES[header?.role] ?? "");
      set(frame, header ? `frame ${header.frame + 1}` : "", "The frame of this picture");
      set(what, header?.label ?? "");
      const all = header?.score ? `${header.score.psnr_text}, ${header.score.ssim_text}, ${header.score.pixels}` : "";
      set(score, header?.score?.psnr_text ?? "", all);
      set(ssim, header?.score?.ssim_text ?? "", all);
      set(pixels, header?.score?.pixels ?? "", all);
      set(extent, header?.score?.extent ?? "", all);
      extent.classList.toggle("whole", header?.score?.extent === "whole image");
      set(note, header?.note ?? "");
      this.drawLegend();
      this.describe();
    },

    describe() {
      const header = this.picture?.header ?? this.refused;
      const content = header ? `${header.camera}, ${header.role}, frame ${header.frame + 1}, ${header.label}` : "no picture yet";
      const score = header?.score ? `, ${header.score.psnr_text}, ${header.score.ssim_text}` : "";
      this.$el.setAttribute("aria-label", `Camera pane ${this.pane + 1}: ${content}${score}. Plus and minus zoom, arrows pan, 0 fits.`);
    },

    drawLegend() {
      const { legend, stage } = this.parts;
      const header = this.picture?.header;
      const { overlay, style: marks } = this;
      const always = header?.scale ? this.scaleEntries(header.scale) : [];
      const kinds = overlay?.count ? this.markEntries(overlay, marks) : [];
      if (overlay?.header.note && header && !header.note) always.push(make("span", "quiet", overlay.header.note));
      if (header && this.epipolar) {
        const entry = make("span");
        const dashes = make("span", "", "╌");
        dashes.style.color = "#f0e442";
        entry.append(dashes, make("span", "quiet", `epipolar line from ${this.epipolar.camera}`));
        always.push(entry);
      }
      const content = [this.legendOpen, this.width, this.height, kinds.length, ...[...always, ...kinds].map((entry) => entry.outerHTML)].join("\n");
      if (content === this.legendContent) return; // measuring its height makes the browser lay out the whole page
      this.legendContent = content;
      const fill = (open) => {
        legend.replaceChildren();
        legend.hidden = !always.length && !kinds.length;
        if (kinds.length) legend.append(this.legendButton(open), ...(open ? [...always, ...kinds] : always));
        else legend.append(...always);
      };
      fill(this.legendOpen ?? true);
      // A legend that would cover much of a small pane is folded until it is asked for.
      if (this.legendOpen === null && legend.offsetHeight > 0.2 * stage.offsetHeight) fill(false);
    },

    legendButton(open) {
      const button = make("button", "", open ? "▾" : "▸ Legend");
      button.title = open ? "Hide the legend" : "Show the legend";
      button.setAttribute("aria-label", button.title);
      button.setAttribute("aria-expanded", String(open));
      button.onclick = () => {
        this.legendOpen = !open;
        this.drawLegend();
      };
      for (const name of ["pointerdown", "pointerup", "dblclick"]) button.addEventListener(name, (event) => event.stopPropagation());
      return button;
    },

    scaleEntries(scale) {
      const entries = [];
      if (scale.stops.length) {
        const entry = make("span");
        const bar = make("span", "tsp-bar-colours");
        bar.style.background = `linear-gradient(to right, ${scale.stops.map((c) => `rgb(${c.join(" ")})`).join(", ")})`;
        entry.append(make("span", "", scale.title), make("span", "quiet", number(scale.low)), bar, make("span", "quiet", `${number(scale.high)} ${scale.unit}`.trim()));
        entries.push(entry);
      } else if (!scale.labels.length) {
        entries.push(make("span", "", scale.title));
      }
      for (const [label, colour] of scale.labels) {
        const entry = make("span");
        const swatch = make("span", "tsp-swatch");
        swatch.style.background = `rgb(${colour.join(" ")})`;
        entry.append(swatch, make("span", "", label));
        entries.push(entry);
      }
      return entries;
    },

    markEntries(overlay, marks) {
      const some = (values, test) => values !== undefined && values.some(test);
      const finite = (value) => value === value;
      const entries = [];
      const add = (kind, text) => {
        const entry = make("span");
        const glyph = make("span", "quiet", SHAPES[kind]);
        glyph.setAttribute("aria-hidden", "true");
        entry.append(glyph, make("span", "", text));
        entries.push(entry);
      };
      if (marks.measured !== false) {
        add("measured", "measured");
        if (some(overlay.visibility, (v) => v < 0.5)) add("hollow", "hidden");
        if (some(overlay.ended, (v) => v > 0)) add("ended", "ended");
      }
      const corrected = some(overlay.reprojected_x, finite);
      const where = overlay.count >= PLAIN_FROM && marks.measured !== false ? " (where 2 px away or more)" : "";
      if (marks.reprojected !== false && corrected) add("reprojected", `reprojected${where}`);
      if (marks.rendered !== false && some(overlay.rendered_x, finite)) add("rendered", `rendered${where}`);
      if (marks.measured !== false && corrected && (marks.residual ?? 1) > 0) add("residual", `residual ×${number(marks.residual ?? 1)}`);
      if (marks.trails !== false && overlay.trails.length) add("trail", overlay.trails.length === 1 ? "the frame before" : `last ${overlay.trails.length} frames`);
      const colour = marks.colour;
      if (colour) {
        const values = overlay[colour.field];
        const labels = colour.palette.length && colour.labels.length ? colour.labels.filter((_, i) => some(values, (v) => v === i)) : colour.labels;
        entries.push(...this.scaleEntries({ ...colour, labels }));
        if (colour.empty && some(values, (v) => v !== v)) entries.push(...this.scaleEntries({ stops: [], labels: [[colour.empty, UNKNOWN]] }));
      }
      return entries;
    },

    say(kind, sentence) {
      const { message } = this.parts;
      if (!sentence && message.hidden) return;
      message.className = `tsp-message ${kind}`;
      message.textContent = sentence;
      message.hidden = !sentence;
    },

    // -- pointer ----------------------------------------------------------------------------------------------------------------

    at(event) {
      const box = this.parts.stage.getBoundingClientRect();
      const px = ((event.clientX - box.left) * this.width) / box.width;
      const py = ((event.clientY - box.top) * this.height) / box.height;
      const { sx, sy, ox, oy } = this.mapping();
      return { px, py, x: ox + px / sx, y: oy + py / sy };
    },

    wipeValue() {
      const wipe = this.picture?.header.wipe;
      return wipe === null || wipe === undefined ? null : this.wipeAt ?? wipe;
    },

    placeWipe() {
      const value = this.wipeValue();
      const line = this.parts.wipe;
      line.hidden = value === null;
      if (value === null) return;
      const { sx, sy, ox, oy } = this.mapping();
      const [width, height] = this.picture.header.size;
      const px = (value * width - ox) * sx;
      line.hidden = px < -1 || px > this.width + 1;
      line.style.left = `${px / this.ratio}px`;
      line.style.top = `${Math.max((0 - oy) * sy, 0) / this.ratio}px`;
      line.style.bottom = `${Math.max(this.height - (height - oy) * sy, 0) / this.ratio}px`;
      line.title = "Drag the line: the photograph is on its left";
      line.setAttribute("aria-valuenow", String(Math.round(value * 100)));
    },

    nearWipe(px) {
      const value = this.wipeValue();
      if (value === null) return false;
      const { sx, ox } = this.mapping();
      return Math.abs((value * this.picture.header.size[0] - ox) * sx - px) <= WIPE_REACH * this.ratio;
    },

    setWipe(value) {
      this.wipeAt = clamp(value, 0, 1);
      this.placeWipe();
      this.$emit("wipe", { pane: this.pane, value: this.wipeAt });
    },

    onWheel(event) {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 33 : event.deltaMode === 2 ? 300 : 1;
      const { px, py } = this.at(event);
      this.hideTip();
      this.zoomBy(2 ** clamp((-event.deltaY * lines) / 250, -8, 8), px, py);
    },

    onDown(event) {
      if (event.button > 1 || event.target.closest("button")) return;
      const at = this.at(event);
      const wipes = event.button === 0 && this.nearWipe(at.px);
      if (event.button === 1) event.preventDefault();
      this.parts.stage.setPointerCapture(event.pointerId);
      this.drag = { ...at, wipes, moved: false, clientX: event.clientX, clientY: event.clientY, button: event.button, zoom: this.view?.zoom };
      if (!wipes) this.$el.focus({ preventScroll: true });
      this.$emit("activate", { pane: this.pane });
    },

    onMove(event) {
      if (!this.picture) return;
      const at = this.at(event);
      const { drag } = this;
      if (!drag) {
        this.hover(event, at);
        return;
      }
      if (Math.hypot(event.clientX - drag.clientX, event.clientY - drag.clientY) > 3) drag.moved = true;
      if (!drag.moved && !drag.wipes) return;
      this.hideTip();
      if (drag.wipes) {
        this.setWipe(at.x / this.picture.header.size[0]);
      } else if (this.view) {
        this.parts.stage.classList.add("panning");
        this.setZoom(this.view.zoom, drag.x, drag.y, at.px, at.py);
      }
    },

    onUp(event) {
      const { drag } = this;
      this.endDrag();
      if (!drag || drag.moved || drag.wipes || drag.button !== 0 || !this.picture) return;
      const { px, py, x, y } = this.at(event);
      const [width, height] = this.picture.header.size;
      if (event.ctrlKey || event.metaKey) {
        if (x >= 0 && y >= 0 && x < width && y < height) this.$emit("correct", { pane: this.pane, x, y });
        return;
      }
      const found = this.nearest(px, py);
      const { overlay } = this;
      const track = found < 0 ? null : [overlay.id0[found], overlay.id1[found], overlay.id2[found]];
      this.$emit("pick", { pane: this.pane, track, x, y, shift: event.shiftKey });
    },

    endDrag() {
      this.drag = null;
      this.parts.stage.classList.remove("panning");
    },

    onLeave() {
      if (this.drag) return;
      this.hideTip();
      this.parts.stage.classList.remove("wipes", "picks");
    },

    // The track with a mark nearest to a point of the canvas, within reach; -1 if there is none.
    nearest(px, py) {
      const { overlay, style: marks } = this;
      if (!overlay?.count) return -1;
      const { sx, sy, ox, oy } = this.mapping();
      let best = (PICK_RADIUS * this.ratio) ** 2;
      let found = -1;
      for (const [kind, xs, ys] of [["measured", "x", "y"], ["reprojected", "reprojected_x", "reprojected_y"], ["rendered", "rendered_x", "rendered_y"]]) {
        if (marks[kind] === false) continue;
        for (let i = 0; i < overlay.count; i++) {
          const distance = ((overlay[xs][i] - ox) * sx - px) ** 2 + ((overlay[ys][i] - oy) * sy - py) ** 2;
          if (distance < best) {
            best = distance;
            found = i;
          }
        }
      }
      return found;
    },

    hover(event, at) {
      const wipes = this.nearWipe(at.px);
      const found = wipes ? -1 : this.nearest(at.px, at.py);
      this.parts.stage.classList.toggle("wipes", wipes);
      this.parts.stage.classList.toggle("picks", found >= 0);
      if (found !== this.hovered) {
        this.hovered = found;
        this.redraw();
      }
      if (found >= 0) this.showTip(found, at);
      else this.parts.tip.hidden = true;
      const now = performance.now();
      if (now - (this.hoverSent ?? 0) >= HOVER_EVERY) {
        this.hoverSent = now;
        this.$emit("hover", { pane: this.pane, x: at.x, y: at.y });
      }
    },

    hideTip() {
      if (this.hovered >= 0) this.redraw();
      this.hovered = -1;
      this.parts.tip.hidden = true;
    },

    showTip(i, at) {
      const { overlay, style: marks } = this;
      const { tip } = this.parts;
      const value = (name) => overlay[name]?.[i];
      const rows = [];
      const add = (name, shown, unit = "") => { if (shown === shown && shown !== undefined) rows.push([name, `${number(shown)}${unit}`]); };
      add("failure score", value("score"));
      const category = value("category");
      if (category === category && marks.categories?.[category]) rows.push(["category", marks.categories[category]]);
      add("residual", value("error"), " px");
      add("measured to rendered", Math.hypot(value("rendered_x") - value("x"), value("rendered_y") - value("y")), " px");
      add("speed", value("speed"), " px/frame");
      add("visibility", value("visibility"));
      add("confidence", value("confidence"));
      if (value("ended")) rows.push(["", "ended here"]);
      const [cell, first, high] = [value("id0"), value("id1"), value("id2")];
      const called = overlay.header.number ?? null; // as the table of tracks calls them: camera, first frame, grid cell
      const name = called !== null ? `${called}.${first + 1}.${cell}` : `${BigInt(cell) + BigInt(first) * ID_PART + BigInt(high) * ID_PART * ID_PART}`;
      tip.replaceChildren(make("span", "head", `Track ${name}`), ...rows.flatMap(([name, text]) => [make("span", "", name), make("span", "", text)]));
      tip.hidden = false;
      const x = at.px / this.ratio;
      const y = at.py / this.ratio;
      const room = this.parts.stage.getBoundingClientRect();
      const box = tip.getBoundingClientRect();
      tip.style.left = `${x + 14 + box.width > room.width ? Math.max(x - 14 - box.width, 2) : x + 14}px`;
      tip.style.top = `${clamp(y + 10, 2, Math.max(room.height - box.height - 2, 2))}px`;
    },

    // -- keys -------------------------------------------------------------------------------------------------------------------

    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button")) return;
      const step = (event.shiftKey ? 10 : 1) * Math.max(40 * this.ratio, this.view?.sx ?? 0);
      const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const arrow = arrows[event.key];
      if (arrow && event.target === this.parts.wipe) {
        this.setWipe((this.wipeValue() ?? 0.5) + (event.shiftKey ? 0.1 : 0.01) * (arrow[0] || -arrow[1]));
      } else if (arrow && this.view) this.pan(step * arrow[0], step * arrow[1]);
      else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
      else if (event.key === "-") this.zoomBy(1 / 1.5);
      else if (event.key === "0") this.fit();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  },
};
