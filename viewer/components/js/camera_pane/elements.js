// Small helpers: a number for people, an element with a text that is never parsed as HTML.

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export function number(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value)) return String(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : size >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
}

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
