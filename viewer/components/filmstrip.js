// Patches of one track over time: a row per camera, one picture per row. The cell of the current frame is outlined.

const STATES = { v: "--good", f: "--bad", o: "--warn", e: "--muted", p: null, a: null };

export default {
  template: `
    <div class="ts-film" ref="box" role="group" aria-label="Patches of the track over time">
      <div class="ts-film-row head"><b></b><span v-for="frame in frames" :key="frame" :class="{ now: frame === current }">{{ frame + 1 }}</span></div>
      <div v-for="row in rows" :key="row.camera" class="ts-film-row">
        <b :title="row.hint">{{ row.label }}</b>
        <div :style="picture(row)">
          <template v-for="(frame, i) in frames" :key="frame">
            <button v-if="row.states[i] !== 'a'" :class="{ now: frame === current, made: row.src }" :style="state(row.states[i])"
                    :title="row.titles[i]" :aria-label="row.titles[i]" @click="$emit('pick', { camera: row.camera, frame })"></button>
            <span v-else class="gap" :title="row.titles[i]"></span>
          </template>
        </div>
      </div>
    </div>`,
  props: { frames: Array, rows: Array, current: Number, size: Number },
  watch: { current() { this.follow(); }, frames() { this.$nextTick(() => this.follow()); } },
  mounted() { this.follow(); },
  methods: {
    picture(row) {
      return { backgroundImage: row.src ? `url(${row.src})` : "none", backgroundSize: `${this.size * this.frames.length}px ${this.size}px` };
    },
    state(letter) { return { width: `${this.size}px`, height: `${this.size}px`, "--state": STATES[letter] ? `var(${STATES[letter]})` : "transparent" }; },
    follow() {
      const at = this.frames.indexOf(this.current), box = this.$refs.box;
      if (at < 0 || !box) return;
      const head = box.querySelectorAll(".head span")[at], label = box.querySelector(".head b");
      if (!head) return;
      const left = head.offsetLeft - label.offsetWidth, right = head.offsetLeft + head.offsetWidth;
      if (left < box.scrollLeft || right > box.scrollLeft + box.clientWidth) {
        box.scrollLeft = left - (box.clientWidth - label.offsetWidth - head.offsetWidth) / 2;
      }
    },
  },
};
