// Methods of the camera pane. Marks of tracks: which there are, their colours, and the one under the pointer.

import { clamp } from "./elements.js";
import { sprite } from "./raster.js";
import { PLAIN_FROM, UNKNOWN } from "./sizes.js";

const PICK_RADIUS = 8; // CSS pixels

export const marks = {
  // Properties are watched by Vue at every access, which is slow in loops: drawing uses a copy.
  readMarks() {
    this.style = JSON.parse(JSON.stringify(this.marks));
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
};
