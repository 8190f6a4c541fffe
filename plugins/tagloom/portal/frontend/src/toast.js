/** Show a sentence for a few seconds; screen readers say it. tone: good | bad */
export function toast(text, tone = "good") {
  const place = document.querySelector(".toasts");
  if (!place) return;
  const note = document.createElement("div");
  note.className = `toast ${tone}`;
  note.textContent = text;
  place.append(note);
  setTimeout(() => note.remove(), tone === "bad" ? 8000 : 3500);
}
