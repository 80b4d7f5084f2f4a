// Sprites and lines written into the pixels of a canvas: ten thousand of them within a frame.

export class Raster {
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

export function sprite(shape, rgb, ratio, plain) {
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
