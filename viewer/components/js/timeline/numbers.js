// Numbers for people.

const formats = new Map();

/** A number for people: "–" where there is none. */
export function format(value, digits) {
  if (Number.isNaN(value) || value === undefined) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits).format(Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).replace("-", "−");
}

/** An end of a scale: at most four characters of digits. */
export function short(value) {
  const size = Math.abs(value);
  const [divisor, unit] = size >= 999500 ? [1e6, "M"] : size >= 9995 ? [1e3, "k"] : [1, ""];
  const scaled = value / divisor;
  return String(Number(scaled.toPrecision(size >= 1000 && divisor === 1 ? 4 : 3))).replace("-", "−") + unit;
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
