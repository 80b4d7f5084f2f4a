// Methods of the camera pane. Which part of the camera's image is on the canvas.

import { clamp } from "./elements.js";
import { Raster } from "./raster.js";
import { PIXELATED } from "./sizes.js";

const LARGEST_SIDE = 4096; // device pixels of a canvas
const LARGEST_ZOOM = 80; // device pixels per camera pixel

export const view = {
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
};
