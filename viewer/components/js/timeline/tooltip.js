// The tooltip: values of a frame, what a lane is. Text from files is set as textContent, never parsed as HTML.

import { STATES, tally } from "./lanes.js";
import { clamp, format } from "./numbers.js";
import { colour_of } from "./paint.js";
import { NUMBERS, RULER } from "./sizes.js";

export function point(timeline, event) {
  const at = event && timeline.at(event), area = event && timeline.area(event);
  timeline.hover = null;
  if (at && timeline.drag === null && area === "gutter") explain(timeline, at);
  else if (at && (timeline.drag || !["gutter", "values"].includes(area)) && at.y < at.place.height) {
    timeline.hover = timeline.frame_at(at);
    describe(timeline, timeline.hover);
  } else timeline.tip.hidden = true;
  if (!timeline.tip.hidden) put(timeline, event.clientX);
  timeline.redraw("over");
}

function describe(timeline, frame) {
  const seconds = format(frame / timeline.fps, 2);
  timeline.tip.replaceChildren(element("b", `Frame ${format(frame + 1, 0)} of ${format(timeline.count, 0)} · ${seconds} s`));
  for (const lane of timeline.lanes) {
    if (lane.kind === "state" && lane.states) line(timeline, lane.title, STATES[lane.states[frame]] ?? "–");
    for (const series of lane.series) {
      const value = series.values[frame], few = series === lane.series[0] && lane.warn_below !== null && value < lane.warn_below;
      const label = lane.series.length > 1 ? `${lane.title}, ${series.label}` : lane.title;
      const note = few ? ` (fewer than ${format(lane.warn_below, 0)})` : "";
      line(timeline, label, `${format(value, lane.digits)} ${value === value ? lane.unit : ""}`.trim() + note, series.colour, few);
    }
  }
  if (frame === timeline.busy) timeline.tip.append(element("p", "Being reconstructed now"));
  timeline.tip.hidden = false;
}

/** In the gutter: what a lane is, or how the range is set. */
function explain(timeline, at) {
  const lane = timeline.lane_at(at), last = at.y > at.place.bottom && at.place.hidden > 0;
  timeline.tip.hidden = !(lane || last || (at.y >= timeline.px(NUMBERS) && at.y < timeline.px(RULER)));
  if (timeline.tip.hidden) return;
  if (lane) {
    const better = { high: "higher is better", low: "lower is better" }[lane.better];
    timeline.tip.replaceChildren(element("b", lane.title + (lane.unit ? ` (${lane.unit})` : "") + (better ? `: ${better}` : "")));
    if (lane.kind === "state") for (const [code, words] of Object.entries(STATES)) line(timeline, words, format(tally(lane.states, code), 0));
    for (const series of lane.series) line(timeline, series.label, "", series.colour);
    if (lane.kind !== "state") timeline.tip.append(element("p", `Scale ${format(lane.low, lane.digits)} to ${format(lane.high, lane.digits)} ${lane.unit}`));
    if (lane.warn_below !== null) timeline.tip.append(element("p", `Hatched: fewer than ${format(lane.warn_below, 0)}`, "timeline-warning"));
    if (lane.note) timeline.tip.append(element("p", lane.note));
  } else if (last) {
    const titles = timeline.lanes.slice(at.place.rows).map((hidden) => hidden.title);
    timeline.tip.replaceChildren(element("b", "Make the timeline higher to see"), element("p", titles.join(", ")));
  } else {
    timeline.tip.replaceChildren(element("b", "Range"), element("p", "Drag the handles, drag with Alt, or press I and O. X removes the range."));
  }
}

function line(timeline, label, value, colour, warning = false) {
  const row = document.createElement("div"), swatch = document.createElement("i");
  if (colour) swatch.style.background = colour_of(timeline, colour);
  row.append(swatch, element("span", label), element("em", value, warning ? "timeline-warning" : ""));
  timeline.tip.append(row);
}

/** Above the timeline, or under it where there is no room: the lanes stay free. */
function put(timeline, x) {
  const rect = timeline.root.getBoundingClientRect(), tip = timeline.tip.getBoundingClientRect();
  const top = rect.top - tip.height - 6 >= 4 ? rect.top - tip.height - 6 : Math.min(rect.bottom + 6, innerHeight - tip.height - 4);
  const left = clamp(top < rect.bottom && top > rect.top - tip.height ? x + 16 : x - tip.width / 2, 4, Math.max(innerWidth - tip.width - 4, 4));
  Object.assign(timeline.tip.style, { left: `${Math.round(left)}px`, top: `${Math.round(Math.max(top, 4))}px` });
}

function element(tag, text, className = "") {
  return Object.assign(document.createElement(tag), { textContent: text, className });
}
