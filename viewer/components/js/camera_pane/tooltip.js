// Methods of the camera pane. The tooltip of the mark under the pointer.

import { clamp, make, number } from "./elements.js";

const ID_PART = 2n ** 20n;
const HOVER_EVERY = 50; // milliseconds

export const tooltip = {
  hover(event, at) {
    const wipes = this.nearWipe(at.px);
    const found = wipes ? -1 : this.nearest(at.px, at.py);
    this.parts.stage.classList.toggle("wipes", wipes);
    this.parts.stage.classList.toggle("picks", found >= 0);
    if (found !== this.hovered) {
      this.hovered = found;
      this.redraw();
    }
    if (found >= 0) this.showTip(found, at);
    else this.parts.tip.hidden = true;
    const now = performance.now();
    if (now - (this.hoverSent ?? 0) >= HOVER_EVERY) {
      this.hoverSent = now;
      this.$emit("hover", { pane: this.pane, x: at.x, y: at.y });
    }
  },

  hideTip() {
    if (this.hovered >= 0) this.redraw();
    this.hovered = -1;
    this.parts.tip.hidden = true;
  },

  showTip(i, at) {
    const { overlay, style: marks } = this;
    const { tip } = this.parts;
    const value = (name) => overlay[name]?.[i];
    const rows = [];
    const add = (name, shown, unit = "") => { if (shown === shown && shown !== undefined) rows.push([name, `${number(shown)}${unit}`]); };
    add("failure score", value("score"));
    const category = value("category");
    if (category === category && marks.categories?.[category]) rows.push(["category", marks.categories[category]]);
    add("residual", value("error"), " px");
    add("measured to rendered", Math.hypot(value("rendered_x") - value("x"), value("rendered_y") - value("y")), " px");
    add("speed", value("speed"), " px/frame");
    add("visibility", value("visibility"));
    add("confidence", value("confidence"));
    if (value("ended")) rows.push(["", "ended here"]);
    const [cell, first, high] = [value("id0"), value("id1"), value("id2")];
    const called = overlay.header.number ?? null; // as the table of tracks calls them: camera, first frame, grid cell
    const name = called !== null ? `${called}.${first + 1}.${cell}` : `${BigInt(cell) + BigInt(first) * ID_PART + BigInt(high) * ID_PART * ID_PART}`;
    tip.replaceChildren(make("span", "head", `Track ${name}`), ...rows.flatMap(([name, text]) => [make("span", "", name), make("span", "", text)]));
    tip.hidden = false;
    const x = at.px / this.ratio;
    const y = at.py / this.ratio;
    const room = this.parts.stage.getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    tip.style.left = `${x + 14 + box.width > room.width ? Math.max(x - 14 - box.width, 2) : x + 14}px`;
    tip.style.top = `${clamp(y + 10, 2, Math.max(room.height - box.height - 2, 2))}px`;
  },
};
