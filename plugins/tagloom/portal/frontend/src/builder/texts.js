// Words of the builder in the reader's language; the page brings them along as data.
let texts = {};

export function useTexts(given) {
  texts = given;
}

/** A text in the reader's language; {name} takes a value. */
export function t(text, values = {}) {
  return (texts[text] ?? text).replace(/\{(\w+)\}/g, (found, name) => (name in values ? String(values[name]) : found));
}
