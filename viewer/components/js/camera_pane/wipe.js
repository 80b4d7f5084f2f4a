// Methods of the camera pane. The line of the wipe.

import { clamp } from "./elements.js";

const WIPE_REACH = 7; // CSS pixels on both sides of the line

export const wipe = {
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
};
