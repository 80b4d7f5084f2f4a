// The timeline: lanes over all frames on a canvas, the range over them on another, a button and a tooltip (js/timeline). What moves with
// the time is on small canvases of its own and in the cursor, so that little is drawn anew while the time is dragged.

import { HELP } from "trackersplat-viewer/timeline/keyboard.js";
import { STYLE } from "trackersplat-viewer/timeline/style.js";
import { Timeline } from "trackersplat-viewer/timeline/timeline.js";

export default {
  template: `
    <div class="timeline" ref="root">
      <canvas ref="base" aria-hidden="true"></canvas>
      <canvas ref="over" aria-hidden="true"></canvas>
      <canvas ref="ruler" aria-hidden="true"></canvas>
      <canvas ref="values" aria-hidden="true"></canvas>
      <div class="timeline-cursor" ref="cursor" hidden></div>
      <div class="timeline-surface" ref="surface" role="slider" tabindex="0" aria-orientation="horizontal"></div>
      <button class="timeline-run" ref="button" type="button" hidden></button>
    </div>`,
  props: { frame_count: Number, fps: Number, label: String, number: String },
  emits: ["ready", "seek", "range", "run_range", "menu"],
  mounted() {
    if (!document.getElementById("timeline-style")) {
      document.head.append(Object.assign(document.createElement("style"), { id: "timeline-style", textContent: STYLE }));
    }
    const { root, surface } = this.$refs;
    surface.setAttribute("aria-label", this.label);
    surface.setAttribute("aria-description", HELP);
    this.drawn = new Timeline(root, this.$refs, (name, data) => this.$emit(name, data));
    this.drawn.number = this.number; // id of a field that shows the frame
    this.drawn.clip(this.frame_count, this.fps);
    root.timeline = this.drawn; // for tests
    this.$emit("ready");
  },
  beforeUnmount() {
    this.drawn.close();
  },
  methods: {
    set_frame(frame, shown, serial) {
      this.drawn.set_frame(frame, shown, serial);
    },
    set_lanes(entries) {
      this.drawn.set_lanes(entries);
    },
    set_range(range) {
      this.drawn.set_range(range);
    },
    set_busy(frame) {
      this.drawn.set_busy(frame);
    },
  },
};
