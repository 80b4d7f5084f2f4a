// Patches of one track over time: a row per camera, one picture per row. The cell of the current frame is outlined.

const STATES = { v: "--good", f: "--bad", o: "--warn", e: "--muted", p: null, a: null };

export default {
  template: `
    <div class="ts-film" ref="box" role="group" aria-label="Patches of the track over time">
      <table>
        <thead><tr><th></th><th v-for="frame in frames" :key="frame" :class="{ now: frame === current }">{{ frame + 1 }}</th></tr></thead>
        <tbody>
          <tr v-for="row in rows" :key="row.camera">
            <th :title="row.hint">{{ row.label }}</th>
            <td v-for="(frame, i) in frames" :key="frame">
              <button v-if="row.states[i] !== 'a'" :class="{ now: frame === current }" :style="style(row, i)" :title="row.titles[i]" :aria-label="row.titles[i]"
                      @click="$emit('pick', { camera: row.camera, frame })"><i v-if="row.src"></i></button>
              <span v-else class="gap" :title="row.titles[i]"></span>
            </td>
          </tr>
        </tbody>
      </table>
    </div>`,
  props: { frames: Array, rows: Array, current: Number, size: Number },
  watch: { current() { this.follow(); }, frames() { this.$nextTick(() => this.follow()); } },
  mounted() { this.follow(); },
  methods: {
    style(row, i) {
      const line = STATES[row.states[i]];
      return {
        width: `${this.size}px`, height: `${this.size}px`,
        backgroundImage: row.src ? `url(${row.src})` : "none", backgroundSize: `${this.size * this.frames.length}px ${this.size}px`,
        backgroundPosition: `${-i * this.size}px 0`, "--state": line ? `var(${line})` : "transparent",
      };
    },
    follow() {
      const at = this.frames.indexOf(this.current), box = this.$refs.box;
      if (at < 0 || !box) return;
      const head = box.querySelectorAll("thead th")[at + 1], label = box.querySelector("thead th");
      if (!head) return;
      const left = head.offsetLeft - label.offsetWidth, right = head.offsetLeft + head.offsetWidth;
      if (left < box.scrollLeft || right > box.scrollLeft + box.clientWidth) {
        box.scrollLeft = left - (box.clientWidth - label.offsetWidth - head.offsetWidth) / 2;
      }
    },
  },
};
