// Methods of the camera pane. Pointer and keys.

import { clamp } from "./elements.js";

export const input = {
  at(event) {
    const box = this.parts.stage.getBoundingClientRect();
    const px = ((event.clientX - box.left) * this.width) / box.width;
    const py = ((event.clientY - box.top) * this.height) / box.height;
    const { sx, sy, ox, oy } = this.mapping();
    return { px, py, x: ox + px / sx, y: oy + py / sy };
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
};
