// Runs before anything is drawn: the theme is Airflow's when the portal stands in its frame, else the reader's choice.
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

function around() {
  if (window.parent === window) return null;
  try {
    return window.parent.document.documentElement;
  } catch {
    return null;
  }
}

function isDark() {
  if (root.dataset.theme !== "auto") return root.dataset.theme === "dark";
  const airflow = around();
  if (airflow) return airflow.classList.contains("dark") || airflow.dataset.theme === "dark";
  return system.matches;
}

function apply() {
  const dark = isDark();
  if (root.classList.contains("dark") === dark) return;
  root.classList.toggle("dark", dark);
  window.dispatchEvent(new CustomEvent("tagloom-theme", { detail: { dark } }));
}

apply();
root.classList.toggle("framed", around() !== null);
system.addEventListener("change", apply);
const airflow = around();
if (airflow) new MutationObserver(apply).observe(airflow, { attributes: true, attributeFilter: ["class", "data-theme"] });
