// Methods of the camera pane. Drawing: the picture, and over it grid, epipolar line and rings around what is chosen.

import { clamp } from "./elements.js";
import { PIXELATED } from "./sizes.js";

const GRID_FROM = 8; // CSS pixels per camera pixel from which on the pixel grid is drawn

export const drawing = {
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
      this.unacknowledged = null;
      if (this.picture) this.tellShown(this.picture.header); // else an error came before it was drawn
    }
    this.parts.stage.classList.toggle("pans", !!this.view);
  },

  tellShown({ serial, frame, exact, camera }) {
    Object.assign(this.$el.dataset, { serial, frame, exact, camera });
    this.drawLabels();
    this.$el.dispatchEvent(new CustomEvent("shown", { detail: { serial, frame, exact } }));
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

  drawMarks() {
    const { raster, topContext, overlay } = this;
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
};
