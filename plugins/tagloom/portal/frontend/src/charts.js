// Draws every <div class="chart" data-chart='{...}'>; README.md beside package.json says what a spec may hold.
// Colours come from the CSS variables, so a chart follows the theme; its numbers stand in a table beside it.
import * as echarts from "echarts/core";
import { BarChart, FunnelChart, GraphChart, HeatmapChart, LineChart, PieChart, SankeyChart, ScatterChart, TreemapChart } from "echarts/charts";
import { AriaComponent, CalendarComponent, GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent, TooltipComponent, VisualMapComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

echarts.use([
  BarChart, FunnelChart, GraphChart, HeatmapChart, LineChart, PieChart, SankeyChart, ScatterChart, TreemapChart,
  AriaComponent, CalendarComponent, GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent, TooltipComponent, VisualMapComponent,
  SVGRenderer,
]);

const root = document.documentElement;
const language = root.lang || "en";
const NARROW = 520;
const MANY_LABELS = 24;

/** The theme's colours and type, as they are now. */
function look() {
  const style = getComputedStyle(root);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    series: Array.from({ length: 8 }, (_, number) => read(`chart-${number + 1}`)),
    tones: { good: read("good"), warn: read("warn"), bad: read("bad"), quiet: read("chart-8"), accent: read("chart-1") },
    low: read("chart-low"), high: read("chart-high"), grid: read("chart-grid"), text: read("chart-text"),
    strong: read("text"), surface: read("surface"), line: read("line"), font: read("font"),
  };
}

const formats = new Map();
function format(value, spec) {
  if (value === null || value === undefined || value === "" || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  const digits = spec.percent ? 1 : Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 2;
  const key = `${spec.percent ?? ""}${digits}`;
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(language, { style: spec.percent ? "percent" : "decimal", maximumFractionDigits: digits }));
  return formats.get(key).format(value) + (spec.unit ? ` ${spec.unit}` : "");
}
const compact = (value, spec) =>
  spec.percent ? `${Math.round(value * 100)}%` : new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 }).format(value);

const escape = (text) => String(text ?? "").replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

function tooltip(theme, more = {}) {
  return {
    confine: true, backgroundColor: theme.surface, borderColor: theme.line, borderWidth: 1, padding: [8, 11],
    textStyle: { color: theme.strong, fontFamily: theme.font, fontSize: 12.5 }, extraCssText: "box-shadow:var(--shadow-high);border-radius:8px", ...more,
  };
}

const axisText = (theme, more = {}) => ({ color: theme.text, fontFamily: theme.font, fontSize: 11.5, ...more });

function categoryAxis(spec, theme, narrow, more = {}) {
  const many = spec.categories.length > (narrow ? 8 : MANY_LABELS);
  return {
    type: "category", data: spec.categories.map(String), axisTick: { show: false }, axisLine: { lineStyle: { color: theme.grid } },
    axisLabel: axisText(theme, { hideOverlap: true, interval: many || spec.kind === "line" ? "auto" : 0, formatter: (text) => shorten(text, narrow ? 12 : 22), ...more }),
  };
}

function valueAxis(spec, theme, more = {}) {
  return {
    type: "value", splitLine: { lineStyle: { color: theme.grid } }, axisLabel: axisText(theme, { formatter: (value) => compact(value, spec) }),
    ...(spec.minimum !== undefined ? { min: spec.minimum } : {}), ...(spec.maximum !== undefined ? { max: spec.maximum } : {}), ...more,
  };
}

function legend(spec, theme) {
  const names = (spec.series ?? []).map((serie) => serie.name).filter(Boolean);
  return names.length > 1 ? { data: names, top: 0, left: 0, type: "scroll", icon: "roundRect", itemWidth: 10, itemHeight: 10, textStyle: axisText(theme), pageIconColor: theme.text, pageTextStyle: axisText(theme) } : undefined;
}

const toneOf = (theme, serie, number) => theme.tones[serie.tone] ?? theme.series[number % theme.series.length];

/** Target value and marked days, drawn with the first series. */
function marks(spec, theme, horizontal) {
  const marked = {};
  if (typeof spec.target === "number") {
    marked.markLine = {
      symbol: "none", silent: true, lineStyle: { color: theme.tones.warn, type: "dashed", width: 1.5 },
      label: { formatter: `${spec.target_label ?? ""} ${format(spec.target, spec)}`.trim(), position: horizontal ? "start" : "insideEndTop", color: theme.tones.warn, fontFamily: theme.font, fontSize: 11 },
      data: [horizontal ? { xAxis: spec.target } : { yAxis: spec.target }],
    };
  }
  if (spec.areas?.length) {
    marked.markArea = { silent: true, itemStyle: { color: theme.tones.bad, opacity: 0.1 }, data: spec.areas.map(([from, to]) => [{ xAxis: String(from) }, { xAxis: String(to) }]) };
  }
  return marked;
}

function bars(spec, theme, narrow) {
  const horizontal = spec.horizontal ?? false;
  const single = spec.series.length === 1;
  const axis = categoryAxis(spec, theme, narrow, horizontal ? { interval: 0, width: narrow ? 110 : 190, overflow: "truncate" } : spec.categories.length > 8 && !narrow ? {} : {});
  if (horizontal) axis.inverse = true;
  const top = (single ? 14 : 34) + (horizontal && typeof spec.target === "number" ? 12 : 0);
  return {
    grid: { left: 4, right: horizontal ? 46 : 10, top, bottom: 4, containLabel: true },
    legend: legend(spec, theme),
    tooltip: tooltip(theme, { trigger: "axis", axisPointer: { type: "shadow", shadowStyle: { color: theme.grid, opacity: 0.5 } }, valueFormatter: (value) => format(value, spec) }),
    xAxis: horizontal ? valueAxis(spec, theme, { splitNumber: 4 }) : axis,
    yAxis: horizontal ? axis : valueAxis(spec, theme, { splitNumber: 4 }),
    series: spec.series.map((serie, number) => ({
      name: serie.name, type: serie.kind ?? "bar", stack: spec.stacked ? "all" : undefined, barMaxWidth: 34, barCategoryGap: "28%", barGap: "12%",
      smooth: false, symbol: "none", cursor: spec.click || spec.urls ? "pointer" : "default",
      itemStyle: { color: toneOf(theme, serie, number), borderRadius: spec.stacked ? 0 : horizontal ? [0, 4, 4, 0] : [4, 4, 0, 0] },
      lineStyle: { width: 2 },
      data: serie.values.map((value, place) => (single && spec.highlight !== undefined && spec.highlight !== null
        ? { value, itemStyle: { opacity: String(spec.categories[place]) === String(spec.highlight) ? 1 : 0.35 } } : value)),
      label: spec.labels ? { show: true, position: spec.stacked ? "inside" : horizontal ? "right" : "top", formatter: ({ value }) => compact(value, spec), ...axisText(theme) } : undefined,
      ...(number === 0 ? marks(spec, theme, horizontal) : {}),
    })),
  };
}

function lines(spec, theme, narrow) {
  const few = spec.categories.length < 3;
  return {
    grid: { left: 4, right: 14, top: spec.series.length > 1 ? 34 : 14, bottom: 4, containLabel: true },
    legend: legend(spec, theme),
    tooltip: tooltip(theme, { trigger: "axis", axisPointer: { lineStyle: { color: theme.grid } }, valueFormatter: (value) => format(value, spec) }),
    xAxis: { ...categoryAxis(spec, theme, narrow), boundaryGap: few },
    yAxis: valueAxis(spec, theme, { splitNumber: 4, scale: spec.scale ?? false }),
    series: spec.series.map((serie, number) => ({
      name: serie.name, type: "line", data: serie.values, connectNulls: false, smooth: 0.2, symbol: "circle", symbolSize: 6, showSymbol: spec.categories.length < 40,
      stack: spec.stacked ? "all" : undefined,
      color: toneOf(theme, serie, number), lineStyle: { width: 2, type: serie.dashed ? "dashed" : "solid" },
      areaStyle: spec.area || spec.stacked ? { opacity: spec.stacked ? 0.55 : 0.12 } : undefined, emphasis: { focus: "series" },
      ...(number === 0 ? marks(spec, theme, false) : {}),
    })),
  };
}

function heat(spec, theme, narrow) {
  const rows = spec.series.map((serie) => serie.name);
  const cells = spec.series.flatMap((serie, row) => serie.values.map((value, column) => [column, row, value ?? null]));
  const values = cells.map((cell) => cell[2]).filter((value) => typeof value === "number");
  const few = spec.categories.length * rows.length <= (narrow ? 60 : 200);
  const most = spec.maximum ?? Math.max(1e-9, ...values);
  const least = spec.minimum ?? Math.min(0, ...values);
  return {
    grid: { left: 4, right: 4, top: spec.title_x ? 24 : 6, bottom: 4, containLabel: true },
    tooltip: tooltip(theme, {
      formatter: ({ value }) => `${escape(spec.title_y ?? "")} <b>${escape(rows[value[1]])}</b> · ${escape(spec.title_x ?? "")} <b>${escape(spec.categories[value[0]])}</b><br>${escape(spec.hidden?.[value[1]]?.[value[0]] ?? format(value[2], spec))}${spec.notes?.[value[1]]?.[value[0]] ? `<br>${escape(spec.notes[value[1]][value[0]])}` : ""}`,
    }),
    xAxis: { ...categoryAxis(spec, theme, narrow), splitArea: { show: false }, position: spec.title_x ? "top" : "bottom", name: spec.title_x, nameLocation: "middle", nameGap: 26, nameTextStyle: axisText(theme) },
    yAxis: { type: "category", data: rows.map(String), inverse: spec.upwards ? false : true, axisTick: { show: false }, axisLine: { show: false }, axisLabel: axisText(theme, { interval: 0, formatter: (text) => shorten(text, narrow ? 10 : 26) }) },
    visualMap: {
      show: false, min: spec.diverging ? -Math.max(Math.abs(least), most) : least, max: spec.diverging ? Math.max(Math.abs(least), most) : most,
      inRange: { color: spec.diverging ? [theme.tones.bad, theme.surface, theme.series[0]] : [theme.low, theme.high] },
    },
    series: [{
      type: "heatmap", data: cells, cursor: spec.click || spec.urls ? "pointer" : "default",
      itemStyle: { borderColor: theme.surface, borderWidth: 2, borderRadius: 4 }, emphasis: { itemStyle: { borderColor: theme.strong, borderWidth: 2 } },
      label: { show: few && spec.labels !== false, fontFamily: theme.font, fontSize: narrow ? 10 : 11.5, formatter: ({ value }) => `{${(value[2] ?? 0) > least + (most - least) * 0.5 ? "light" : "dark"}|${value[2] === null ? (spec.hidden?.[value[1]]?.[value[0]] ? "·" : "") : compact(value[2], spec)}}`,
        rich: { light: { color: theme.surface, fontSize: narrow ? 10 : 11.5 }, dark: { color: theme.strong, fontSize: narrow ? 10 : 11.5 } } },
    }],
  };
}

function pie(spec, theme, narrow) {
  const serie = spec.series[0];
  return {
    tooltip: tooltip(theme, { trigger: "item", valueFormatter: (value) => format(value, spec) }),
    series: [{
      type: "pie", radius: narrow ? ["42%", "68%"] : ["50%", "78%"], cursor: spec.click || spec.urls ? "pointer" : "default", minAngle: 3,
      itemStyle: { borderColor: theme.surface, borderWidth: 2, borderRadius: 4 }, label: { color: theme.text, fontFamily: theme.font, fontSize: 12, formatter: ({ name }) => shorten(name, narrow ? 12 : 24) }, labelLine: { lineStyle: { color: theme.grid } },
      data: spec.categories.map((name, number) => ({ name: String(name), value: serie.values[number], itemStyle: { color: theme.series[number % theme.series.length] } })),
    }],
  };
}

function funnel(spec, theme) {
  const serie = spec.series[0];
  return {
    tooltip: tooltip(theme, { trigger: "item", valueFormatter: (value) => format(value, spec) }),
    series: [{
      type: "funnel", sort: "none", top: 4, bottom: 4, left: "4%", width: "92%", minSize: "6%", gap: 3,
      label: { position: "inside", color: theme.surface, fontFamily: theme.font, fontSize: 12, formatter: ({ name, value }) => `${name} · ${format(value, spec)}` }, itemStyle: { borderWidth: 0 },
      data: spec.categories.map((name, number) => ({ name: String(name), value: serie.values[number], itemStyle: { color: theme.series[0], opacity: 1 - (0.55 * number) / Math.max(1, spec.categories.length - 1) } })),
    }],
  };
}

function treemap(spec, theme) {
  const nodes = spec.nodes ?? spec.categories.map((name, number) => ({ name: String(name), value: spec.series[0].values[number] }));
  return {
    tooltip: tooltip(theme, { trigger: "item", valueFormatter: (value) => format(value, spec) }),
    series: [{
      type: "treemap", roam: false, nodeClick: false, breadcrumb: { show: false }, left: 0, right: 0, top: 0, bottom: 0, cursor: spec.click || spec.urls ? "pointer" : "default",
      itemStyle: { borderColor: theme.surface, borderWidth: 2, gapWidth: 2 }, label: { fontFamily: theme.font, fontSize: 12, color: theme.surface },
      data: nodes.map((node, number) => ({ ...node, itemStyle: { color: theme.series[number % theme.series.length] } })),
    }],
  };
}

function sankey(spec, theme, narrow) {
  const groups = [...new Set(spec.nodes.map((node) => node.group ?? node.label ?? node.name))];
  const colour = (node) => theme.tones[node.tone] ?? theme.series[groups.indexOf(node.group ?? node.label ?? node.name) % theme.series.length];
  const label = Object.fromEntries(spec.nodes.map((node) => [node.name, node.label ?? node.name]));
  return {
    tooltip: tooltip(theme, { trigger: "item", formatter: ({ dataType, data, value }) => (dataType === "edge" ? `${escape(label[data.source])} → ${escape(label[data.target])}: <b>${escape(format(data.value, spec))}</b>` : `${escape(label[data.name])}: <b>${escape(format(value, spec))}</b>`) }),
    series: [{
      type: "sankey", animation: false, left: 4, right: narrow ? 66 : 110, top: 8, bottom: 8, nodeWidth: 12, nodeGap: narrow ? 7 : 10, draggable: false, layoutIterations: spec.ordered ? 0 : 32,
      emphasis: { focus: "adjacency" }, lineStyle: { color: "source", opacity: 0.28, curveness: 0.5 }, cursor: spec.click ? "pointer" : "default",
      label: { color: theme.text, fontFamily: theme.font, fontSize: narrow ? 10 : 11.5, formatter: ({ name }) => shorten(label[name] ?? name, narrow ? 10 : 18) },
      data: spec.nodes.map((node) => ({ name: node.name, depth: node.depth, url: node.url, itemStyle: { color: colour(node), borderWidth: 0 } })),
      links: spec.links,
    }],
  };
}

function graph(spec, theme, narrow, size) {
  const groups = [...new Set(spec.nodes.map((node) => node.group ?? ""))];
  const layered = spec.nodes.some((node) => node.layer !== undefined);
  const places = {};
  if (layered) {
    // Layers side by side; one below the other where it is narrow.
    const layers = [...new Set(spec.nodes.map((node) => node.layer))].sort((a, b) => a - b);
    layers.forEach((layer, column) => {
      const members = spec.nodes.filter((node) => node.layer === layer);
      members.forEach((node, row) => {
        const along = layers.length > 1 ? column / (layers.length - 1) : 0.5;
        const across = (row + 1) / (members.length + 1);
        places[node.name] = narrow ? [across * size[0], 16 + along * (size[1] - 44)] : [14 + along * (size[0] - 190), across * size[1]];
      });
    });
  }
  const labelLength = narrow ? 13 : 26;
  const hidden = (length, inverse) => ({ type: "value", show: false, min: 0, max: length, inverse });
  return {
    ...(layered ? { grid: { left: 0, right: 0, top: 0, bottom: 0 }, xAxis: hidden(size[0], false), yAxis: hidden(size[1], true) } : {}),
    tooltip: tooltip(theme, { trigger: "item", formatter: ({ dataType, data }) => (dataType === "edge" ? escape(data.label ?? `${data.source} → ${data.target}`) : escape([data.text, data.note].filter(Boolean).join(" · "))) }),
    series: [{
      type: "graph", layout: layered ? "none" : "force", roam: !layered, ...(layered ? { coordinateSystem: "cartesian2d" } : {}),
      force: { repulsion: 190, edgeLength: [50, 110], gravity: 0.12, layoutAnimation: false }, draggable: !layered,
      edgeSymbol: spec.directed ?? layered ? ["none", "arrow"] : ["none", "none"], edgeSymbolSize: 7, emphasis: { focus: "adjacency", lineStyle: { width: 2.5 } },
      lineStyle: { color: theme.line, width: 1.4, curveness: 0 }, cursor: spec.click || spec.nodes.some((node) => node.url) ? "pointer" : "default",
      label: { show: true, position: layered && narrow ? "bottom" : "right", color: theme.strong, fontFamily: theme.font, fontSize: narrow ? 10 : 11.5, backgroundColor: theme.surface, padding: [1, 3], borderRadius: 3, formatter: ({ data }) => shorten(data.text, labelLength) },
      data: spec.nodes.map((node) => ({
        name: node.name, text: node.label ?? node.name, note: node.note, url: node.url, ...(layered ? { value: places[node.name] } : {}),
        symbol: node.symbol ?? "circle", symbolSize: node.size ?? (layered ? 12 : 18),
        itemStyle: { color: theme.tones[node.tone] ?? theme.series[Math.max(0, groups.indexOf(node.group ?? "")) % theme.series.length], borderColor: theme.surface, borderWidth: 1.5 },
      })),
      links: spec.links.map((link) => ({
        source: link.source, target: link.target, label_text: link.label, label: { show: false },
        ...(link.label ? { label: { show: false, formatter: link.label } } : {}), value: link.value,
        lineStyle: { type: link.dashed ? "dashed" : "solid", color: theme.tones[link.tone] ?? theme.text, opacity: link.tone ? 0.9 : 0.35, width: link.width ?? 1.3 },
      })),
    }],
  };
}

function calendar(spec, theme, narrow) {
  const days = spec.categories.map(String).map((day, number) => [day, spec.series[0].values[number]]);
  const sorted = days.map(([day]) => day).sort();
  const values = days.map(([, value]) => value ?? 0);
  return {
    tooltip: tooltip(theme, { formatter: ({ value }) => `${escape(value[0])}<br><b>${escape(format(value[1], spec))}</b>` }),
    visualMap: { show: false, min: 0, max: Math.max(1, ...values), inRange: { color: [theme.low, theme.high] } },
    calendar: {
      range: [sorted[0], sorted.at(-1)], left: 34, right: 6, top: 20, bottom: 4, cellSize: ["auto", narrow ? 10 : "auto"], splitLine: { show: false },
      itemStyle: { color: "transparent", borderColor: theme.surface, borderWidth: 2 }, dayLabel: axisText(theme, { nameMap: language.startsWith("zh") ? "ZH" : "EN", firstDay: 1 }), monthLabel: axisText(theme, { nameMap: language.startsWith("zh") ? "ZH" : "EN" }), yearLabel: { show: false },
    },
    series: [{ type: "heatmap", coordinateSystem: "calendar", data: days, itemStyle: { borderRadius: 2 } }],
  };
}

function scatter(spec, theme) {
  const [x, y, size] = spec.series;
  const most = size ? Math.max(1, ...size.values.map((value) => value ?? 0)) : 1;
  return {
    grid: { left: 8, right: 18, top: 16, bottom: 26, containLabel: true },
    tooltip: tooltip(theme, { trigger: "item", formatter: ({ dataIndex }) => `<b>${escape(spec.categories[dataIndex])}</b>${spec.series.map((serie) => `<br>${escape(serie.name)}: ${escape(format(serie.values[dataIndex], spec))}`).join("")}` }),
    xAxis: valueAxis(spec, theme, { name: x.name, nameLocation: "middle", nameGap: 26, nameTextStyle: axisText(theme), scale: true }),
    yAxis: valueAxis(spec, theme, { name: y.name, nameTextStyle: axisText(theme), scale: true }),
    series: [{ type: "scatter", cursor: spec.click || spec.urls ? "pointer" : "default", data: x.values.map((value, number) => [value, y.values[number]]), symbolSize: (_, { dataIndex }) => (size ? 8 + 30 * Math.sqrt((size.values[dataIndex] ?? 0) / most) : 10), itemStyle: { color: theme.series[0], opacity: 0.75 }, ...marks(spec, theme, false) }],
  };
}

const kinds = { bar: bars, line: lines, heatmap: heat, pie, funnel, treemap, sankey, graph, calendar, scatter };

/** Where a click on a mark leads: its own address, or the chart's template with {name} and {series} put in. */
function address(spec, event) {
  if (event.dataType === "edge") return null;
  if (event.data?.url) return event.data.url;
  if (spec.kind === "heatmap") {
    const [column, row] = event.value;
    if (spec.urls) return spec.urls[row]?.[column] ?? null;
    return spec.click?.replaceAll("{name}", encodeURIComponent(spec.categories[column])).replaceAll("{series}", encodeURIComponent(spec.series[row].name));
  }
  if (spec.urls) return spec.urls[event.dataIndex] ?? null;
  const name = spec.kind === "scatter" ? spec.categories[event.dataIndex] : event.name;
  return spec.click?.replaceAll("{name}", encodeURIComponent(name)).replaceAll("{series}", encodeURIComponent(event.seriesName ?? ""));
}

const drawn = new Map();

export function draw(element) {
  const spec = JSON.parse(element.dataset.chart);
  const theme = look();
  const narrow = element.clientWidth < NARROW;
  const option = kinds[spec.kind]?.(spec, theme, narrow, [element.clientWidth, element.clientHeight]);
  if (!option) { element.textContent = `? ${spec.kind}`; return; }
  let chart = drawn.get(element);
  if (!chart) {
    chart = echarts.init(element, null, { renderer: "svg" });
    drawn.set(element, chart);
    chart.on("click", (event) => {
      const current = JSON.parse(element.dataset.chart);
      const target = address(current, event);
      // The portal's own pages only: a spec may hold text that people wrote.
      if (target && new URL(target, location.href).origin === location.origin) location.assign(target);
    });
    resized.observe(element);
  }
  // Only the first time: a chart that is drawn again for another width or theme should not move.
  const still = element.dataset.drawn === "yes" || matchMedia("(prefers-reduced-motion: reduce)").matches;
  chart.setOption({ animation: !still, animationDuration: 250, textStyle: { fontFamily: theme.font }, backgroundColor: "transparent", color: theme.series, ...option }, true);
  element.dataset.drawn = "yes";
}

const widths = new WeakMap();
const resized = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    if (!contentRect.width || widths.get(target) === contentRect.width) continue;
    const before = widths.get(target);
    widths.set(target, contentRect.width);
    drawn.get(target)?.resize();
    if (before !== undefined) draw(target);
  }
});

export function drawAll(within = document) {
  for (const element of within.querySelectorAll("[data-chart]")) if (element.clientWidth) draw(element);
}

// A chart that appears later, in a tab or an answer, is drawn when it does; one that leaves is let go.
new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === "attributes" && change.target.dataset?.chart) draw(change.target);
    for (const node of change.addedNodes) if (node instanceof Element) { if (node.matches("[data-chart]")) draw(node); drawAll(node); }
  }
  for (const [element, chart] of drawn) if (!element.isConnected) { chart.dispose(); drawn.delete(element); }
}).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-chart"] });

new MutationObserver(() => drawAll()).observe(root, { attributes: true, attributeFilter: ["class", "data-theme"] });
addEventListener("toggle", (event) => drawAll(event.target), true);
addEventListener("beforeprint", () => { for (const chart of drawn.values()) chart.resize(); });
drawAll();
