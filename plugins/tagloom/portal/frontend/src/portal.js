// What every page does: menu, dialogs, confirmation, filters, sorting, copying, notices.
import { toast } from "./toast.js";

const on = (type, selector, act) =>
  document.addEventListener(type, (event) => {
    const found = event.target instanceof Element ? event.target.closest(selector) : null;
    if (found) act(found, event);
  });

on("click", "[data-menu]", (button) => {
  const open = document.body.classList.toggle("menu-open");
  button.setAttribute("aria-expanded", String(open));
});

on("click", "[data-open]", (button) => document.getElementById(button.dataset.open)?.showModal());
on("click", "[data-close]", (button) => button.closest("dialog")?.close());
on("click", "dialog.dialog", (dialog, event) => {
  // A click beside it: the backdrop belongs to the dialog.
  if (event.target === dialog && dialog.id !== "confirm") dialog.close();
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "") && !document.activeElement?.isContentEditable) {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
});

// Airflow's frame ignores confirm(): <form data-confirm="..."> asks in a dialog of the page.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!question || form.dataset.confirmed) return;
  event.preventDefault();
  const dialog = document.getElementById("confirm");
  dialog.querySelector("[data-confirm-text]").textContent = question;
  dialog.returnValue = "";
  dialog.showModal();
  const submitter = event.submitter;
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "yes") return;
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter ?? undefined);
  }, { once: true });
});

on("change", "[data-submit]", (field) => field.form.requestSubmit());

on("input", "[data-filter]", (field) => {
  const words = field.value.trim().toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const target = document.querySelector(field.dataset.filter);
  if (!target) return;
  const matches = (item) => { const text = (item.dataset.filterText ?? item.textContent).toLocaleLowerCase(); return words.every((word) => text.includes(word)); };
  let shown = 0;
  for (const item of target.querySelectorAll("[data-filter-item]")) { item.hidden = !matches(item); shown += !item.hidden; }
  for (const group of target.querySelectorAll("[data-filter-group]")) {
    group.hidden = !group.querySelector("[data-filter-item]:not([hidden])");
    if (group.tagName === "DETAILS" && words.length) group.open = !group.hidden;
  }
  const none = target.querySelector("[data-filter-none]");
  if (none) none.hidden = shown > 0;
});

on("click", "[data-copy]", async (button) => {
  const text = button.dataset.copy || document.querySelector(button.dataset.copyFrom)?.textContent || "";
  try {
    await navigator.clipboard.writeText(text);
    toast(button.dataset.copied ?? "✓");
  } catch {
    // Without the permission (no HTTPS): select it, so that one key copies it.
    const from = document.querySelector(button.dataset.copyFrom);
    if (from) getSelection().selectAllChildren(from);
  }
});

const numeric = (text) => { const plain = text.replace(/[,\s%]/g, ""); return plain !== "" && !Number.isNaN(Number(plain)) ? Number(plain) : null; };
for (const table of document.querySelectorAll("table[data-sortable]")) {
  table.querySelectorAll("thead th").forEach((head, position) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction);
      const value = (row) => { const cell = row.cells[position]; return cell?.dataset.value ?? cell?.textContent.trim() ?? ""; };
      const compare = (first, second) => {
        const [a, b] = [value(first), value(second)];
        const [x, y] = [numeric(a), numeric(b)];
        if (x !== null && y !== null) return x - y;
        if (x !== null || y !== null) return x === null ? 1 : -1;
        return a.localeCompare(b);
      };
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((first, second) => (direction === "ascending" ? 1 : -1) * compare(first, second));
      body.append(...rows);
    });
  });
}

for (const link of document.querySelectorAll(".navigation [aria-current]")) link.scrollIntoView({ block: "nearest", inline: "center" });

// Charts are drawn by a bundle of their own, loaded only where there is one.
if (document.querySelector("[data-chart]")) import(document.documentElement.dataset.charts);
