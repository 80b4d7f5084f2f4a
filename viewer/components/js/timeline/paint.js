// Colours, fonts, patterns and rectangles that the drawings share.

import { FALLBACKS } from "./style.js";

/** A colour as "#rrggbb" or the name of a CSS variable of the page. */
export function colour_of(timeline, name) {
  if (!name.startsWith("--")) return name;
  if (!timeline.theme.has(name)) timeline.theme.set(name, getComputedStyle(timeline.root).getPropertyValue(name).trim() || FALLBACKS[name] || FALLBACKS["--text"]);
  return timeline.theme.get(name);
}

export function font(timeline, ctx, size = 11, weight = 400) {
  if (!timeline.theme.has("font")) timeline.theme.set("font", getComputedStyle(timeline.root).fontFamily);
  ctx.font = `${weight} ${timeline.px(size)}px ${timeline.theme.get("font")}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
}

/** A tile of diagonal lines or of dots. */
export function pattern(timeline, ctx, kind, colour) {
  const key = kind + colour;
  if (!timeline.patterns.has(key)) {
    const size = timeline.px(kind === "dots" ? 4 : 6), tile = Object.assign(document.createElement("canvas"), { width: size, height: size });
    const pen = tile.getContext("2d");
    pen.fillStyle = colour;
    if (kind === "dots") pen.fillRect(0, 0, timeline.px(2), timeline.px(2));
    else for (let x = 0; x < size; x++) for (let y = 0; y < size; y++) if ((x + y) % size < size / 2) pen.fillRect(x, y, 1, 1);
    timeline.patterns.set(key, ctx.createPattern(tile, "repeat"));
  }
  return timeline.patterns.get(key);
}

export function fit(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  let keep = text.length;
  while (keep > 1 && ctx.measureText(text.slice(0, keep) + "…").width > width) keep--;
  return text.slice(0, keep) + "…";
}

/** Fills rectangles on a canvas. */
export function brush(ctx) {
  return (x, y, width, height, colour, alpha = 1) => {
    ctx.fillStyle = colour;
    ctx.globalAlpha = alpha;
    ctx.fillRect(x, y, width, height);
    ctx.globalAlpha = 1;
  };
}

/** Fills rectangles in an array of pixels, which is much faster where there are thousands of one pixel's width. */
export class Pixels {
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
