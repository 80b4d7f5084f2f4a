// Residuals of one track over time, with what the track was in each frame as a band below. Drawn on a canvas.

const HEIGHT = 96, BAND = 9, AXIS = 14, LEFT = 34; // CSS pixels
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const STATES = { v: ["--good", "visible"], f: ["--bad", "visible, failing"], o: ["--warn", "occluded"], e: ["--muted", "ended"], a: [null, "absent"] };

export default {
  template: `
    <div class="ts-curve">
      <div class="ts-curve-legend">
        <span><i style="background:var(--accent)"></i>reprojection</span><span><i style="background:#cc79a7"></i>to the rendered point</span><span>px</span>
      </div>
      <div class="ts-curve-box" ref="box" role="img" :aria-label="summary" @pointerdown="press" @pointermove="move" @pointerleave="hover = null">
        <canvas ref="canvas"></canvas>
        <div v-if="hover" class="ts-heat-tip" :style="{ left: hover.left + 'px', top: '4px' }"><b>{{ hover.head }}</b><span>{{ hover.text }}</span></div>
      </div>
      <div class="ts-curve-legend">
        <span v-for="entry in legend" :key="entry[1]"><i :style="{ background: 'var(' + entry[0] + ')' }"></i>{{ entry[1] }}</span>
      </div>
    </div>`,
  props: { frames: Array, reprojection: Array, gap: Array, score: Array, states: String, frame: Number },
  data: () => ({ hover: null }),
  computed: {
    legend() { return Object.entries(STATES).filter(([letter]) => letter !== "a" && this.states.includes(letter)).map(([, entry]) => entry); },
    summary() { return `Residuals over ${this.frames.length} frames; a click goes to the frame.`; },
  },
  watch: { states() { this.draw(); }, reprojection() { this.draw(); }, frame() { this.draw(); } },
  mounted() {
    this.resizer = new ResizeObserver(() => this.draw());
    this.resizer.observe(this.$refs.box);
    this.draw();
  },
  unmounted() { this.resizer.disconnect(); },
  methods: {
    x(index) { return LEFT + (index + 0.5) * (this.$refs.box.clientWidth - LEFT - 4) / Math.max(this.frames.length, 1); },
    draw() {
      const box = this.$refs.box;
      if (!box || !box.clientWidth) return;
      const width = box.clientWidth, scale = window.devicePixelRatio || 1, canvas = this.$refs.canvas, total = HEIGHT + BAND + AXIS;
      canvas.width = Math.round(width * scale); canvas.height = Math.round(total * scale);
      canvas.style.width = `${width}px`; canvas.style.height = `${total}px`;
      const c = canvas.getContext("2d"), count = this.frames.length;
      c.scale(scale, scale);
      c.font = `11px ${getComputedStyle(box).fontFamily}`;
      c.textBaseline = "middle";
      const known = [...this.reprojection, ...this.gap].filter((v) => v !== null);
      const top = this.nice(Math.max(...known, 1)), y = (value) => HEIGHT - 4 - Math.min(value / top, 1) * (HEIGHT - 12);
      c.textAlign = "right";
      for (const share of [0, 0.5, 1]) {
        const at = Math.round(y(top * share)) + 0.5;
        c.strokeStyle = css("--line"); c.beginPath(); c.moveTo(LEFT, at); c.lineTo(width - 4, at); c.stroke();
        c.fillStyle = css("--muted"); c.fillText(String(+(top * share).toPrecision(2)), LEFT - 5, clamp(at, 7, HEIGHT - 4));
      }
      const cell = (width - LEFT - 4) / Math.max(count, 1);
      for (let i = 0; i < count; i++) {
        const name = STATES[this.states[i]]?.[0];
        if (this.states[i] === "f") { c.fillStyle = css("--bad") + "22"; c.fillRect(LEFT + i * cell, 4, cell + 0.5, HEIGHT - 8); }
        if (name) { c.fillStyle = css(name); c.fillRect(LEFT + i * cell, HEIGHT, Math.max(cell - (cell > 4 ? 1 : 0), 1), BAND - 3); }
      }
      this.line(c, this.gap, "#cc79a7", y); this.line(c, this.reprojection, css("--accent"), y);
      c.fillStyle = css("--muted"); c.textAlign = "center";
      const fit = Math.max(Math.floor((width - LEFT) / 40), 1), step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].find((s) => s >= count / fit) || 5000;
      this.frames.forEach((frame, i) => {
        if ((frame + 1) % step === 0 || (frame === 0 && step > 2)) c.fillText(String(frame + 1), clamp(this.x(i), LEFT + 4, width - 10), HEIGHT + BAND + AXIS / 2 - 1);
      });
      const at = this.frames.indexOf(this.frame);
      if (at >= 0) {
        const here = Math.round(this.x(at)) + 0.5;
        c.strokeStyle = css("--text"); c.beginPath(); c.moveTo(here, 2); c.lineTo(here, HEIGHT + BAND - 2); c.stroke();
      }
    },
    nice(value) {
      const power = 10 ** Math.floor(Math.log10(value));
      return [1, 2, 4, 6, 8, 10].map((factor) => factor * power).find((end) => end >= value * 0.999);
    },
    line(c, values, colour, y) {
      c.strokeStyle = colour; c.fillStyle = colour; c.lineWidth = 1.5; c.lineJoin = "round";
      c.beginPath();
      let open = false;
      values.forEach((value, i) => {
        if (value === null) { open = false; return; }
        const alone = !open && (i + 1 >= values.length || values[i + 1] === null);
        if (open) c.lineTo(this.x(i), y(value)); else c.moveTo(this.x(i), y(value));
        if (alone) c.fillRect(this.x(i) - 1.5, y(value) - 1.5, 3, 3);
        open = true;
      });
      c.stroke(); c.lineWidth = 1;
    },
    index(event) {
      const box = this.$refs.box.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / Math.max(box.width - LEFT - 4, 1);
      return clamp(Math.floor(share * this.frames.length), 0, this.frames.length - 1);
    },
    text(value) { return value === null || value === undefined ? "–" : value.toFixed(2); },
    press(event) { if (event.button === 0) this.seek(this.index(event)); },
    move(event) {
      const i = this.index(event);
      if (i < 0) return;
      if (event.buttons === 1) this.seek(i);
      const width = this.$refs.box.clientWidth;
      this.hover = {
        left: clamp(event.offsetX + 12, 0, Math.max(width - 190, 0)), head: `Frame ${this.frames[i] + 1} · ${STATES[this.states[i]]?.[1] ?? ""}`,
        text: `reprojection ${this.text(this.reprojection[i])}, rendered ${this.text(this.gap[i])} px; score ${this.text(this.score[i])}`,
      };
    },
    seek(i) { if (this.frames[i] !== this.frame) this.$emit("seek", { frame: this.frames[i] }); },
  },
};
