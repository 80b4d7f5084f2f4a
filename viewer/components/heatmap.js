// A heat map of cameras over time on a canvas, with its scale and a tooltip. Text is drawn or set as text, never parsed as HTML.

const ROW_LEAST = 9, ROW_MOST = 22, AXIS = 18; // CSS pixels
const LABEL_MOST = 120;
const STOPS = [[27, 31, 38], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]]; // magma, from the surface's colour

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function decode(text, Type) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Type(bytes.buffer);
}

/** Colour of a share of the scale, [r, g, b]. */
export function colour(share) {
  const at = clamp(share, 0, 1) * (STOPS.length - 1), low = Math.min(Math.floor(at), STOPS.length - 2), rest = at - low;
  return STOPS[low].map((value, channel) => Math.round(value + (STOPS[low + 1][channel] - value) * rest));
}

export default {
  template: `
    <div class="ts-heat">
      <div class="ts-heat-box" ref="box" tabindex="0" role="application" :aria-label="summary" @keydown="key"
           @pointermove="move" @pointerleave="hover = null" @pointerdown="press">
        <canvas ref="canvas"></canvas>
        <div v-if="hover" class="ts-heat-tip" :style="tipStyle"><b>{{ hover.head }}</b><span>{{ hover.text }}</span></div>
      </div>
      <div class="ts-heat-scale" aria-hidden="true"><span>0</span><canvas ref="bar" width="120" height="1"></canvas><span>{{ end }}</span>
        <i></i><span>no track</span></div>
    </div>`,
  props: { title: String, unit: String, cameras: Array, frames: Array, values: String, counts: String, high: Number, frame: Number, camera: Number, found: Array },
  data: () => ({ hover: null, cursor: null, width: 0 }),
  computed: {
    summary() {
      return `${this.title} of ${this.cameras.length} cameras over ${this.frames.length} frames. Up and Down choose a camera, Enter shows it.`;
    },
    end() { return `${this.high} ${this.unit}`.trim(); },
    tipStyle() {
      const left = clamp(this.hover.x + 12, 0, Math.max(this.width - 190, 0));
      return { left: `${left}px`, top: `${this.hover.y + 14}px` };
    },
  },
  watch: {
    values() { this.load(); },
    frame() { this.draw(); }, camera() { this.cursor = null; this.draw(); }, high() { this.draw(); }, found() { this.draw(); },
  },
  mounted() {
    this.resizer = new ResizeObserver(() => this.draw());
    this.resizer.observe(this.$refs.box);
    const bar = this.$refs.bar.getContext("2d");
    for (let x = 0; x < 120; x++) { bar.fillStyle = `rgb(${colour(x / 119)})`; bar.fillRect(x, 0, 1, 1); }
    this.load();
  },
  unmounted() { this.resizer.disconnect(); },
  methods: {
    load() {
      this.data = this.values ? decode(this.values, Float32Array) : new Float32Array(0);
      this.tracks = this.counts ? decode(this.counts, Int32Array) : new Int32Array(0);
      this.hover = null;
      this.draw();
    },
    layout() {
      const box = this.$refs.box, width = box.clientWidth, rows = Math.max(this.cameras.length, 1);
      const context = this.$refs.canvas.getContext("2d");
      context.font = `11px ${getComputedStyle(box).fontFamily}`;
      const widest = Math.max(...this.cameras.map((name) => context.measureText(name).width), 20);
      const label = Math.min(Math.ceil(widest) + 16, LABEL_MOST, width * 0.4);
      const row = clamp(Math.floor((this.rowsFit() - AXIS) / rows), ROW_LEAST, ROW_MOST);
      return { width, label, row, plot: Math.max(width - label - 1, 1), height: rows * row };
    },
    rowsFit() { return Math.max(this.$el.parentElement ? this.$el.parentElement.clientHeight - 60 : 0, 200); },
    draw() {
      const box = this.$refs.box;
      if (!box || !box.clientWidth || !this.data) return;
      const { width, label, row, plot, height } = this.layout(), scale = window.devicePixelRatio || 1;
      this.width = width;
      const canvas = this.$refs.canvas, total = height + AXIS;
      canvas.width = Math.round(width * scale); canvas.height = Math.round(total * scale);
      canvas.style.width = `${width}px`; canvas.style.height = `${total}px`;
      box.style.height = `${total}px`;
      const c = canvas.getContext("2d");
      c.scale(scale, scale);
      const columns = Math.min(this.frames.length, Math.round(plot * scale));
      if (columns > 0 && this.cameras.length) {
        const picture = c.createImageData(columns, this.cameras.length);
        for (let k = 0; k < this.cameras.length; k++) for (let x = 0; x < columns; x++) {
          const value = this.worst(k, x, columns), at = 4 * (k * columns + x);
          const [r, g, b] = Number.isNaN(value) ? [0, 0, 0] : colour(value / this.high);
          picture.data.set([r, g, b, Number.isNaN(value) ? 0 : 255], at);
        }
        const small = document.createElement("canvas");
        small.width = columns; small.height = this.cameras.length;
        small.getContext("2d").putImageData(picture, 0, 0);
        this.hatch(c, label, plot, height);
        c.imageSmoothingEnabled = false;
        c.drawImage(small, label, 0, plot, height);
      }
      const bad = new Set(this.found || []), marked = this.cursor ?? this.camera;
      c.font = `11px ${getComputedStyle(box).fontFamily}`;
      c.textBaseline = "middle";
      c.strokeStyle = css("--surface");
      this.cameras.forEach((name, k) => {
        c.fillStyle = css(bad.has(k) ? "--bad" : k === marked ? "--text" : "--muted");
        if (bad.has(k)) c.fillText("!", 1, (k + 0.5) * row);
        const step = Math.ceil(11 / row);
        if (k % step === 0 || bad.has(k) || k === marked) c.fillText(this.cut(c, name, label - 14), 9, (k + 0.5) * row);
        if (row >= 12) { c.beginPath(); c.moveTo(label, k * row); c.lineTo(width, k * row); c.stroke(); }
      });
      if (marked != null && marked >= 0) {
        c.strokeStyle = css("--text");
        c.strokeRect(label + 0.5, marked * row + 0.5, plot - 1, row - 1);
      }
      this.axis(c, label, plot, height);
    },
    hatch(c, left, plot, height) {
      c.save(); c.beginPath(); c.rect(left, 0, plot, height); c.clip();
      c.strokeStyle = css("--line");
      for (let x = left - height; x < left + plot; x += 7) { c.beginPath(); c.moveTo(x, height); c.lineTo(x + height, 0); c.stroke(); }
      c.restore();
    },
    axis(c, left, plot, height) {
      const count = this.frames.length;
      c.fillStyle = css("--muted"); c.textAlign = "center";
      const fit = Math.max(Math.floor(plot / 44), 1), rough = count / fit;
      const step = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000, 5000].find((s) => s >= rough) || 10000;
      for (let i = 0; i < count; i++) {
        const number = this.frames[i] + 1;
        if (number !== 1 && number % step) continue;
        const x = left + (i + 0.5) * plot / count;
        if (x > left + plot - 10 || (number === 1 && step > 1 && false)) continue;
        c.fillText(String(number), Math.max(x, left + 4), height + AXIS / 2 + 1);
      }
      c.textAlign = "left";
      const at = this.frames.indexOf(this.frame);
      if (at >= 0) {
        const x = Math.round(left + (at + 0.5) * plot / count) + 0.5;
        c.strokeStyle = css("--accent"); c.lineWidth = 1.5;
        c.beginPath(); c.moveTo(x, 0); c.lineTo(x, height + 3); c.stroke();
        c.lineWidth = 1;
      }
    },
    worst(k, x, columns) {
      const count = this.frames.length, first = Math.floor(x * count / columns), last = Math.max(Math.floor((x + 1) * count / columns), first + 1);
      let found = NaN;
      for (let f = first; f < last; f++) {
        const value = this.data[k * count + f];
        if (!Number.isNaN(value) && !(value <= found)) found = value;
      }
      return found;
    },
    cut(c, text, most) {
      if (c.measureText(text).width <= most) return text;
      let length = text.length;
      while (length > 1 && c.measureText(text.slice(0, length) + "…").width > most) length--;
      return text.slice(0, length) + "…";
    },
    cell(event) {
      const box = this.$refs.box.getBoundingClientRect(), { label, row, plot, height } = this.layout();
      const x = event.clientX - box.left, y = event.clientY - box.top;
      if (y < 0 || y >= height || x >= label + plot) return null;
      const camera = Math.floor(y / row), at = x < label ? -1 : Math.floor((x - label) / plot * this.frames.length);
      return { camera, at, x, y };
    },
    move(event) {
      const found = this.cell(event);
      if (!found) { this.hover = null; return; }
      if (event.buttons === 1) this.pick(found);
      if (found.at < 0) { this.hover = { x: found.x, y: found.y, head: this.cameras[found.camera], text: "" }; return; }
      const index = found.camera * this.frames.length + found.at, value = this.data[index], count = this.tracks[index];
      const text = Number.isNaN(value) ? "no visible track" : `${value.toPrecision(3)} ${this.unit}`.trim() + `, ${count} visible track${count === 1 ? "" : "s"}`;
      this.hover = { x: found.x, y: found.y, head: `${this.cameras[found.camera]} · frame ${this.frames[found.at] + 1}`, text };
    },
    press(event) {
      const found = this.cell(event);
      if (found && event.button === 0) this.pick(found);
    },
    pick(found) {
      const frame = found.at < 0 ? null : this.frames[found.at];
      const key = `${found.camera} ${frame}`;
      if (key === this.picked && performance.now() - this.pickedAt < 300) return;
      this.picked = key; this.pickedAt = performance.now();
      this.$emit("pick", { camera: found.camera, frame });
    },
    key(event) {
      const now = this.cursor ?? this.camera ?? -1, last = this.cameras.length - 1;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        this.cursor = clamp(now + (event.key === "ArrowDown" ? 1 : -1), 0, last);
        this.draw(); event.preventDefault(); event.stopPropagation();
      } else if (event.key === "Enter" && now >= 0) {
        this.$emit("pick", { camera: now, frame: null });
        event.preventDefault();
      }
    },
  },
};
