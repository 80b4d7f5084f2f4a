// The columns of pixels in which frames are drawn, and what a column of many frames shows.

/** The columns that frames are drawn in: one per device pixel if frames are narrower, else one per frame (and one beyond each end). */
export function columns(view, count, left, width) {
  const [a, b] = view, scale = (b - a) / width, dense = scale > 1;
  const start = dense ? 0 : Math.max(Math.floor(a) - 1, 0);
  const n = dense ? width : Math.min(Math.ceil(b) + 1, count) - start;
  const x = new Int32Array(n + 1), f = new Int32Array(n + 1);
  for (let i = 0; i <= n; i++) {
    x[i] = dense ? left + i : Math.round(left + (start + i - a) / scale);
    f[i] = dense ? Math.min(Math.floor(a + i * scale), count) : start + i;
  }
  return { dense, n, x, f };
}

/** Least and greatest value and the first and last one of frames [from, to); NaN where there is none. */
export function extent(values, from, to) {
  let low = NaN, high = NaN, first = NaN, last = NaN;
  for (let f = from; f < to; f++) {
    const value = values[f];
    if (value !== value) continue;
    if (first !== first) first = low = high = value;
    else if (value < low) low = value;
    else if (value > high) high = value;
    last = value;
  }
  return { low, high, first, last };
}

/** First and last of every stretch of columns for which ``holds``. */
export function* runs(n, holds) {
  let from = -1;
  for (let i = 0; i <= n; i++) {
    if (i < n && holds(i)) from = from < 0 ? i : from;
    else if (from >= 0) {
      yield [from, i - 1];
      from = -1;
    }
  }
}
