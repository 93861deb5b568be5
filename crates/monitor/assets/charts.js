// Charts as SVG: made once, changed by setting attributes. Nothing here knows what it draws.

const NS = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// The path of values over equal steps; null is a gap.
function path(values, width, height, low, high) {
  const step = width / Math.max(values.length - 1, 1);
  const span = high - low || 1;
  let text = "", pen = false;
  values.forEach((value, at) => {
    if (value === null || !Number.isFinite(value)) { pen = false; return; }
    text += `${pen ? "L" : "M"}${(at * step).toFixed(1)} ${(height - ((value - low) / span) * height).toFixed(1)}`;
    pen = true;
  });
  return text;
}

// A line without axes. `update(values)` draws; `fromZero` keeps zero in sight.
export function sparkline(label, { small = false, fromZero = false } = {}) {
  const line = svg("path", { fill: "none", stroke: "currentColor", "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" });
  const node = svg("svg", { class: small ? "spark small" : "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img" }, line);
  node.setAttribute("aria-label", label);
  node.update = (values) => {
    const known = values.filter((value) => value !== null);
    node.toggleAttribute("hidden", !values.length);
    if (!known.length) { line.setAttribute("d", ""); return; }
    const low = fromZero ? 0 : Math.min(...known), high = Math.max(...known);
    line.setAttribute("d", path(values, 100, 28, low, Math.max(high, low + 1e-9)));
  };
  return node;
}

function ticks(low, high, count) {
  const raw = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((it) => it >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

// A line over time with axes, marks and a cursor. points: [[milliseconds, value], …], marks: [milliseconds, …].
export function timeChart(label, unit, tip) {
  const width = 800, height = 220, left = 48, bottom = 22, top = 8, right = 8;
  const grid = svg("g"), marked = svg("g"), line = svg("path", { fill: "none", stroke: "currentColor", "stroke-width": 1.5 });
  const cursor = svg("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
  const node = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, grid, marked, line, cursor);
  let points = [], x = () => 0;
  node.update = (given, marks = []) => {
    points = given;
    grid.replaceChildren(); marked.replaceChildren();
    if (!points.length) { line.setAttribute("d", ""); return; }
    const times = points.map((point) => point[0]), values = points.map((point) => point[1]);
    const from = times[0], to = Math.max(times.at(-1), from + 1);
    let low = Math.min(...values), high = Math.max(...values);
    if (high - low < 1e-9) { low -= 1; high += 1; }
    x = (time) => left + ((time - from) / (to - from)) * (width - left - right);
    const y = (value) => top + (1 - (value - low) / (high - low)) * (height - top - bottom);
    for (const value of ticks(low, high, 5)) {
      grid.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
      const text = svg("text", { class: "tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" });
      text.textContent = value;
      grid.append(text);
    }
    for (let at = 0; at <= 4; at++) {
      const time = from + ((to - from) * at) / 4;
      const text = svg("text", { class: "tick", x: x(time), y: height - 6, "text-anchor": at === 0 ? "start" : at === 4 ? "end" : "middle" });
      text.textContent = new Date(time).toLocaleTimeString();
      grid.append(text);
    }
    for (const time of marks.filter((time) => time >= from && time <= to)) {
      marked.append(svg("line", { class: "mark", x1: x(time), x2: x(time), y1: top, y2: height - bottom }));
    }
    line.setAttribute("d", points.map(([time, value], at) => `${at ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join(""));
  };
  node.addEventListener("pointermove", (event) => {
    if (!points.length) return;
    const box = node.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * width;
    const nearest = points.reduce((best, point) => (Math.abs(x(point[0]) - at) < Math.abs(x(best[0]) - at) ? point : best));
    cursor.setAttribute("x1", x(nearest[0])); cursor.setAttribute("x2", x(nearest[0]));
    cursor.setAttribute("visibility", "visible");
    tip.hidden = false;
    tip.textContent = `${new Date(nearest[0]).toLocaleTimeString()}  ${nearest[1]} ${unit}`;
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - 180)}px`;
    tip.style.top = `${event.clientY + 12}px`;
  });
  node.addEventListener("pointerleave", () => { cursor.setAttribute("visibility", "hidden"); tip.hidden = true; });
  return node;
}

// Places in degrees on a plain grid. places: [{latitude, longitude, level, label, link}, …].
export function map(places) {
  const known = places.filter((place) => place.latitude !== null && place.longitude !== null);
  const node = svg("svg", { class: "map", role: "img", "aria-label": `map of ${known.length} sensors` });
  if (!known.length) return node;
  const pad = (low, high) => { const more = Math.max((high - low) * 0.08, 0.05); return [low - more, high + more]; };
  const [south, north] = pad(Math.min(...known.map((p) => p.latitude)), Math.max(...known.map((p) => p.latitude)));
  const [west, east] = pad(Math.min(...known.map((p) => p.longitude)), Math.max(...known.map((p) => p.longitude)));
  const width = 800, height = 360, x = (longitude) => ((longitude - west) / (east - west)) * width;
  const y = (latitude) => ((north - latitude) / (north - south)) * height;
  node.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const longitude of ticks(west, east, 6)) {
    node.append(svg("line", { class: "axis", x1: x(longitude), x2: x(longitude), y1: 0, y2: height }));
    const text = svg("text", { class: "tick", x: x(longitude) + 3, y: height - 4 });
    text.textContent = `${Math.abs(longitude)}° ${longitude < 0 ? "W" : "E"}`;
    node.append(text);
  }
  for (const latitude of ticks(south, north, 5)) {
    node.append(svg("line", { class: "axis", x1: 0, x2: width, y1: y(latitude), y2: y(latitude) }));
    const text = svg("text", { class: "tick", x: 3, y: y(latitude) - 3 });
    text.textContent = `${Math.abs(latitude)}° ${latitude < 0 ? "S" : "N"}`;
    node.append(text);
  }
  // Sensors that would lie on each other are one larger dot.
  const clusters = new Map();
  for (const place of known) {
    const key = `${Math.round(x(place.longitude) / 14)}:${Math.round(y(place.latitude) / 14)}`;
    const cluster = clusters.get(key) ?? { ...place, count: 0, bad: 0 };
    cluster.count += 1; cluster.bad += place.level === "ok" ? 0 : 1;
    clusters.set(key, cluster);
  }
  for (const cluster of clusters.values()) {
    const title = svg("title");
    title.textContent = cluster.count > 1 ? `${cluster.count} sensors, ${cluster.bad} not well` : cluster.label;
    node.append(svg("circle", {
      cx: x(cluster.longitude), cy: y(cluster.latitude), r: 4 + Math.min(Math.sqrt(cluster.count) * 2, 14),
      fill: cluster.bad ? "var(--warning)" : "var(--ok)", "fill-opacity": 0.65, stroke: "var(--panel)",
    }, title));
  }
  return node;
}
