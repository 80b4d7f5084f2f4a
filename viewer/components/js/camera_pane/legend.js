// Methods of the camera pane. The legend.

import { make, number } from "./elements.js";
import { PLAIN_FROM, UNKNOWN } from "./sizes.js";

const SHAPES = { measured: "●", hollow: "○", ended: "×", reprojected: "+", rendered: "◇", residual: "→", trail: "—" };

export const legend = {
  drawLegend() {
    const { legend, stage } = this.parts;
    const header = this.picture?.header;
    const { overlay, style: marks } = this;
    const always = header?.scale ? this.scaleEntries(header.scale) : [];
    const kinds = overlay?.count ? this.markEntries(overlay, marks) : [];
    if (overlay?.header.note && header && !header.note) always.push(make("span", "quiet", overlay.header.note));
    if (header && this.epipolar) {
      const entry = make("span");
      const dashes = make("span", "", "╌");
      dashes.style.color = "#f0e442";
      entry.append(dashes, make("span", "quiet", `epipolar line from ${this.epipolar.camera}`));
      always.push(entry);
    }
    const content = [this.legendOpen, this.width, this.height, kinds.length, ...[...always, ...kinds].map((entry) => entry.outerHTML)].join("\n");
    if (content === this.legendContent) return; // measuring its height makes the browser lay out the whole page
    this.legendContent = content;
    const fill = (open) => {
      legend.replaceChildren();
      legend.hidden = !always.length && !kinds.length;
      if (kinds.length) legend.append(this.legendButton(open), ...(open ? [...always, ...kinds] : always));
      else legend.append(...always);
    };
    fill(this.legendOpen ?? true);
    // A legend that would cover much of a small pane is folded until it is asked for.
    if (this.legendOpen === null && legend.offsetHeight > 0.2 * stage.offsetHeight) fill(false);
  },

  legendButton(open) {
    const button = make("button", "", open ? "▾" : "▸ Legend");
    button.title = open ? "Hide the legend" : "Show the legend";
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-expanded", String(open));
    button.onclick = () => {
      this.legendOpen = !open;
      this.drawLegend();
    };
    for (const name of ["pointerdown", "pointerup", "dblclick"]) button.addEventListener(name, (event) => event.stopPropagation());
    return button;
  },

  scaleEntries(scale) {
    const entries = [];
    if (scale.stops.length) {
      const entry = make("span");
      const bar = make("span", "tsp-bar-colours");
      bar.style.background = `linear-gradient(to right, ${scale.stops.map((c) => `rgb(${c.join(" ")})`).join(", ")})`;
      entry.append(make("span", "", scale.title), make("span", "quiet", number(scale.low)), bar, make("span", "quiet", `${number(scale.high)} ${scale.unit}`.trim()));
      entries.push(entry);
    } else if (!scale.labels.length) {
      entries.push(make("span", "", scale.title));
    }
    for (const [label, colour] of scale.labels) {
      const entry = make("span");
      const swatch = make("span", "tsp-swatch");
      swatch.style.background = `rgb(${colour.join(" ")})`;
      entry.append(swatch, make("span", "", label));
      entries.push(entry);
    }
    return entries;
  },

  markEntries(overlay, marks) {
    const some = (values, test) => values !== undefined && values.some(test);
    const finite = (value) => value === value;
    const entries = [];
    const add = (kind, text) => {
      const entry = make("span");
      const glyph = make("span", "quiet", SHAPES[kind]);
      glyph.setAttribute("aria-hidden", "true");
      entry.append(glyph, make("span", "", text));
      entries.push(entry);
    };
    if (marks.measured !== false) {
      add("measured", "measured");
      if (some(overlay.visibility, (v) => v < 0.5)) add("hollow", "hidden");
      if (some(overlay.ended, (v) => v > 0)) add("ended", "ended");
    }
    const corrected = some(overlay.reprojected_x, finite);
    const where = overlay.count >= PLAIN_FROM && marks.measured !== false ? " (where 2 px away or more)" : "";
    if (marks.reprojected !== false && corrected) add("reprojected", `reprojected${where}`);
    if (marks.rendered !== false && some(overlay.rendered_x, finite)) add("rendered", `rendered${where}`);
    if (marks.measured !== false && corrected && (marks.residual ?? 1) > 0) add("residual", `residual ×${number(marks.residual ?? 1)}`);
    if (marks.trails !== false && overlay.trails.length) add("trail", overlay.trails.length === 1 ? "the frame before" : `last ${overlay.trails.length} frames`);
    const colour = marks.colour;
    if (colour) {
      const values = overlay[colour.field];
      const labels = colour.palette.length && colour.labels.length ? colour.labels.filter((_, i) => some(values, (v) => v === i)) : colour.labels;
      entries.push(...this.scaleEntries({ ...colour, labels }));
      if (colour.empty && some(values, (v) => v !== v)) entries.push(...this.scaleEntries({ stops: [], labels: [[colour.empty, UNKNOWN]] }));
    }
    return entries;
  },
};
