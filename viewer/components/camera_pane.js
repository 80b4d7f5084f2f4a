// One camera pane: the server's picture on a canvas, marks of tracks drawn over it by the page, pan, zoom, wipe line, picking, legend.
// Coordinates are camera pixels with centres at +0.5; canvases are in device pixels. Text from files is only ever set as textContent.

import { drawing } from "trackersplat-viewer/camera_pane/drawing.js";
import { input } from "trackersplat-viewer/camera_pane/input.js";
import { labels } from "trackersplat-viewer/camera_pane/labels.js";
import { legend } from "trackersplat-viewer/camera_pane/legend.js";
import { Link } from "trackersplat-viewer/camera_pane/link.js";
import { marks } from "trackersplat-viewer/camera_pane/marks.js";
import { server } from "trackersplat-viewer/camera_pane/server.js";
import { installStyle } from "trackersplat-viewer/camera_pane/style.js";
import { tooltip } from "trackersplat-viewer/camera_pane/tooltip.js";
import { view } from "trackersplat-viewer/camera_pane/view.js";
import { wipe } from "trackersplat-viewer/camera_pane/wipe.js";

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

  methods: { ...server, ...view, ...drawing, ...marks, ...labels, ...legend, ...tooltip, ...wipe, ...input },
};
