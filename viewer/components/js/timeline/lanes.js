// Lanes as the server sends them.

export const STATES = { t: "to do", d: "done", s: "stale", r: "running", f: "failed" };
export const SEVERITY = "dtsrf"; // a column that covers several frames shows the last of these that occurs

/** A lane as the server sends it; what has not changed is taken from the lane as it was. */
export function read(entry, old) {
  const number = (value) => (value === null ? NaN : Number(value)); // "Infinity" is text
  const series = entry.series.map((sent, i) => {
    let values;
    if (sent.values) values = Float64Array.from(sent.values, number);
    else {
      values = old.series[i].values;
      sent.at.forEach((frame, k) => (values[frame] = number(sent.to[k])));
    }
    const finite = values.filter(Number.isFinite);
    return { ...sent, values, any: finite.length > 0 || values.some((value) => value === value), most: finite.reduce((a, b) => Math.max(a, b), -Infinity) };
  });
  return { ...entry, series };
}

export function tally(text, code) {
  let found = 0;
  for (const letter of text) found += letter === code ? 1 : 0;
  return found;
}
