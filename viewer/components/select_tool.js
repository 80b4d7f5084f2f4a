// The selection tools over a camera pane or the stage: listens there, draws cursor and outline at once, and tells the outline.
// Coordinates told are camera pixels (a pane), or shares of the frame's width and height (the stage).

const MOVED = 3; // CSS pixels from which on a press is a drag
const SPACING = 2; // CSS pixels between the points of an outline
const MOST_POINTS = 2000; // of an outline; beyond, every other one is dropped
const BRUSH = [2, 300]; // CSS pixels: the smallest and largest radius
const ANSWER_AFTER = 6000; // milliseconds until an outline that nobody answers is taken away

const STYLE = `
.tst { position: absolute; inset: 0; pointer-events: none; overflow: hidden; z-index: 1; }
.tst svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: hidden; }
.tst .under { fill: none; stroke: #000c; stroke-width: 3; }
.tst .line { fill: #ffd24a22; fill-rule: evenodd; stroke: #ffd24a; stroke-width: 1.4; stroke-dasharray: 5 4; }
.tst.subtract .line { stroke: #e0716c; fill: #e0716c22; }
.tst .paint { fill: none; stroke: #ffd24a; stroke-linecap: round; stroke-linejoin: round; opacity: .35; }
.tst.subtract .paint { stroke: #e0716c; }
.tst .circle { fill: none; stroke: #fff; stroke-width: 1.2; } .tst .halo { fill: none; stroke: #000b; stroke-width: 3; }
.tst .badge { font: 600 14px Inter, "Segoe UI", system-ui, Roboto, sans-serif; fill: #fff; stroke: #000c; stroke-width: 3; paint-order: stroke; }
.tst.waits .line, .tst.waits .under { stroke-dasharray: none; opacity: .6; } .tst.waits .paint { opacity: .22; }
`;
const CURSORS = { click: "crosshair", rectangle: "crosshair", lasso: "crosshair", brush: "none" };
const BADGES = { replace: "", add: "+", subtract: "−", intersect: "∩" };
const EVENTS = ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave", "mousedown", "mouseup", "click", "dblclick"];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function modeOf(event) {
  const less = event.altKey || event.ctrlKey || event.metaKey;
  return event.shiftKey ? (less ? "intersect" : "add") : less ? "subtract" : "replace";
}

function svg(tag, className) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  element.setAttribute("class", className);
  return element;
}

export default {
  template: `<div class="tst" aria-hidden="true"></div>`,
  props: {
    tool: { type: String, default: "" },
    brush: { type: Number, default: 24 }, // CSS pixels
    answered: { type: Number, default: 0 }, // grows when the server has taken an outline
    stage: Boolean, // over the frame of the stage; otherwise over a camera pane
  },
  emits: ["outline", "brush"],
  watch: {
    tool() { this.cancel(); this.setCursor(); },
    brush() { this.radius = this.brush; this.draw(); },
    answered() { this.waiting = null; this.draw(); },
  },

  created() { // not reactive: changed at every move of the pointer
    Object.assign(this, { radius: this.brush, stroke: null, waiting: null, hover: null, mode: "replace", host: null, view: null });
  },

  mounted() {
    if (!document.getElementById("tst-style")) {
      const style = document.createElement("style");
      Object.assign(style, { id: "tst-style", textContent: STYLE });
      document.head.append(style);
    }
    const image = svg("svg", "");
    this.parts = Object.fromEntries(["under", "line", "paint", "halo", "circle", "badge"].map((name) => {
      const part = svg({ halo: "circle", circle: "circle", badge: "text" }[name] ?? "path", name);
      image.append(part);
      return [name, part];
    }));
    this.$el.append(image);
    this.onEvent = (event) => this.take(event);
    this.onWheel = (event) => this.wheel(event);
    this.onKey = (event) => this.key(event);
    this.onLoad = () => this.attach();
    for (const kind of ["keydown", "keyup"]) window.addEventListener(kind, this.onKey, true);
    this.find();
  },

  beforeUnmount() {
    this.detach();
    this.frame?.removeEventListener("load", this.onLoad);
    for (const kind of ["keydown", "keyup"]) window.removeEventListener(kind, this.onKey, true);
  },

  methods: {
    // -- what is listened to ----------------------------------------------------------------------------------------------

    // The pane or frame beside this element may be built later.
    find() {
      const box = this.$el?.parentElement;
      if (!box) return;
      const found = box.querySelector(this.stage ? "iframe" : ".tsp-stage");
      if (!found) return requestAnimationFrame(() => this.find());
      this.host = found;
      if (this.stage) {
        this.frame = found;
        found.addEventListener("load", this.onLoad);
      }
      this.attach();
    },

    // Before anybody else there: what a tool takes, the pane and viser never see. Wheel and other buttons are theirs.
    attach() {
      this.detach();
      this.view = this.stage ? this.host.contentWindow : this.host;
      for (const kind of EVENTS) this.view?.addEventListener(kind, this.onEvent, true);
      this.view?.addEventListener("wheel", this.onWheel, { capture: true, passive: false });
      this.setCursor();
    },

    detach() {
      for (const kind of EVENTS) this.view?.removeEventListener(kind, this.onEvent, true);
      this.view?.removeEventListener("wheel", this.onWheel, { capture: true });
    },

    setCursor() {
      const cursor = CURSORS[this.tool] ?? "";
      if (!this.stage) {
        if (this.host) this.host.style.cursor = cursor;
        return;
      }
      const page = this.host?.contentDocument;
      if (!page?.head) return;
      let style = page.getElementById("tst-cursor");
      if (!style) {
        style = page.createElement("style");
        style.id = "tst-cursor";
        page.head.append(style);
      }
      style.textContent = cursor ? `* { cursor: ${cursor} !important }` : "";
    },

    // -- the pointer ------------------------------------------------------------------------------------------------------

    // Where an event is in CSS pixels of this element, and as it is told.
    place(event) {
      const own = this.$el.getBoundingClientRect();
      const box = this.host.getBoundingClientRect();
      const [x, y] = this.stage ? [event.clientX + box.left, event.clientY + box.top] : [event.clientX, event.clientY];
      const told = this.stage
        ? { x: event.clientX / box.width, y: event.clientY / box.height, scale: 1 / box.height }
        : this.host.closest(".tsp").pointAt(event);
      return { x: x - own.left, y: y - own.top, told };
    },

    take(event) {
      if (!this.tool || (event.target.closest && event.target.closest("button"))) return;
      if (event.type === "pointermove") return this.move(event);
      if (event.type === "pointerleave" && event.target === (this.stage ? event.currentTarget.document?.documentElement : this.host)) {
        this.hover = null;
        this.draw();
        return;
      }
      if (event.type === "pointercancel") return this.cancel();
      if (event.button !== 0 && !(this.stroke && event.type === "pointerup")) return;
      event.stopImmediatePropagation();
      if (event.type === "pointerdown") this.press(event);
      else if (event.type === "pointerup" && this.stroke) this.release(event);
      else if (event.type === "mousedown") event.preventDefault(); // no selection of text, no focus
    },

    press(event) {
      event.preventDefault();
      event.target.setPointerCapture?.(event.pointerId);
      if (!this.stage) this.host.closest(".tsp").focus({ preventScroll: true });
      const at = this.place(event);
      this.waiting = null;
      this.stroke = { tool: this.tool, mode: modeOf(event), radius: this.radius, points: [at], last: at, moved: false };
      this.hover = at;
      this.draw();
    },

    move(event) {
      const at = (this.hover = this.place(event));
      const { stroke } = this;
      if (!stroke) {
        this.mode = modeOf(event);
        this.draw();
        return;
      }
      event.stopImmediatePropagation();
      const first = stroke.points[0];
      const away = (from) => Math.hypot(at.x - from.x, at.y - from.y);
      if (away(first) > MOVED) stroke.moved = true;
      stroke.last = at;
      const newest = stroke.points[stroke.points.length - 1];
      if (stroke.moved && stroke.tool !== "rectangle" && stroke.tool !== "click" && away(newest) >= SPACING) {
        stroke.points.push(at);
        if (stroke.points.length > MOST_POINTS) stroke.points = stroke.points.filter((_, index) => index % 2 === 0);
      }
      this.draw();
    },

    release(event) {
      const { stroke } = this;
      this.stroke = null;
      stroke.last = this.place(event);
      const tool = stroke.moved || stroke.tool === "brush" ? stroke.tool : "click";
      const points = tool === "rectangle" ? [stroke.points[0], stroke.last] : tool === "click" ? [stroke.last] : [...stroke.points, stroke.last];
      const scale = points[0].told.scale;
      this.waiting = tool === "click" ? null : stroke;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => { this.waiting = null; this.draw(); }, ANSWER_AFTER);
      this.$emit("outline", { tool, mode: stroke.mode, radius: stroke.radius * scale, points: points.map(({ told }) => [told.x, told.y]) });
      this.draw();
    },

    cancel() {
      this.stroke = this.waiting = null;
      this.draw();
    },

    // -- keys ---------------------------------------------------------------------------------------------------------------

    key(event) {
      if (!this.tool) return;
      if (event.type === "keydown" && event.key === "Escape" && this.stroke) {
        event.stopImmediatePropagation(); // only the outline goes, not the selection
        event.preventDefault();
        return this.cancel();
      }
      if (["Shift", "Alt", "Control", "Meta"].includes(event.key)) {
        if (event.key === "Alt") event.preventDefault(); // the browser's menu
        this.mode = modeOf(event);
        this.draw();
      }
    },

    // The size of the brush; without a key the wheel zooms.
    wheel(event) {
      if (this.tool !== "brush" || !(event.altKey || event.ctrlKey)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      this.radius = clamp(this.radius * 2 ** clamp(-event.deltaY / 400, -1, 1), ...BRUSH);
      this.draw();
      clearTimeout(this.told);
      this.told = setTimeout(() => this.$emit("brush", this.radius), 150);
    },

    // -- drawing ------------------------------------------------------------------------------------------------------------

    draw() {
      if (this.requested || !this.parts) return;
      this.requested = true;
      requestAnimationFrame(() => {
        this.requested = false;
        if (this.$el?.isConnected) this.drawNow();
      });
    },

    drawNow() {
      const { parts, hover } = this;
      const stroke = this.stroke ?? this.waiting;
      const mode = this.stroke?.mode ?? this.waiting?.mode ?? this.mode;
      this.$el.className = `tst ${mode} ${this.waiting && !this.stroke ? "waits" : ""}`;
      const show = (part, attributes) => {
        part.style.display = attributes ? "" : "none";
        for (const [name, value] of Object.entries(attributes ?? {})) part.setAttribute(name, value);
      };
      const path = stroke && stroke.moved && stroke.tool !== "brush" ? this.path(stroke) : null;
      show(parts.under, path && { d: path });
      show(parts.line, path && { d: path });
      const painted = stroke?.tool === "brush" && [...stroke.points, stroke.last].map((p) => `${p.x},${p.y}`);
      show(parts.paint, painted && { d: `M${painted.join("L")}`, "stroke-width": 2 * stroke.radius });
      const circle = this.tool === "brush" && hover && { cx: hover.x, cy: hover.y, r: this.radius };
      show(parts.halo, circle);
      show(parts.circle, circle);
      const badge = this.tool && hover && BADGES[mode];
      const beside = this.tool === "brush" ? Math.min(this.radius * 0.75, 40) : 8;
      show(parts.badge, badge && { x: hover.x + beside + 4, y: hover.y - beside });
      parts.badge.textContent = badge || "";
    },

    path({ tool, points, last }) {
      if (tool === "rectangle") {
        const [{ x, y }] = points;
        return `M${x},${y}H${last.x}V${last.y}H${x}Z`;
      }
      if (tool !== "lasso") return null;
      return `M${[...points, last].map((p) => `${p.x},${p.y}`).join("L")}Z`;
    },
  },
};
