// The page: one script, drawn for the address. What comes out of a topic is only ever set as text.

import { map, sparkline, svg, timeChart } from "/assets/charts.js";

const main = document.getElementById("main"), tip = document.getElementById("tip"), connection = document.getElementById("connection");

function h(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// ---- figures as people write them

const whole = new Intl.NumberFormat(), short = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, notation: "compact" });
const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
const measured = (value, unit) => (value === null || value === undefined ? "–" : `${Number(value.toFixed(2))} ${unit}`);

function span(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

// Local time; UTC when pointed at.
function time(millis) {
  if (millis === null || millis === undefined || Math.abs(millis) > 8.64e15) return "–";
  const date = new Date(millis);
  return h("time", { datetime: date.toISOString(), title: `${date.toISOString().replace("T", " ").replace("Z", "")} UTC` }, date.toLocaleString());
}

const badge = (level, text) => h("span", { class: "badge", "data-level": level }, `${{ critical: "▲ ", warning: "● ", silent: "○ " }[level] ?? ""}${text}`);
const link = (href, text) => h("a", { href, "data-link": true }, text);
const sensorLink = (id) => link(`/sensors/${encodeURIComponent(id)}`, id);

// ---- the server

async function api(path) {
  const response = await fetch(`/api/v1${path}`, { headers: { accept: "application/json" } });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error ?? response.statusText);
  return body;
}

let newest = null, listeners = new Set(), lastHeard = 0;

function listen() {
  const source = new EventSource("/api/v1/stream");
  source.addEventListener("overview", (event) => {
    if (event.data.length < 3) return;
    newest = JSON.parse(event.data);
    lastHeard = Date.now();
    mark(newest.kafka.problem);
    for (const listener of listeners) listener(newest);
  });
  source.onerror = () => mark("the server does not answer");
}

function mark(problem) {
  connection.dataset.state = problem ? "lost" : "live";
  connection.textContent = problem ? `stale: ${problem}` : `live · ${newest?.kafka.bootstrap ?? ""}`;
  main.classList.toggle("stale", Boolean(problem));
}

setInterval(() => { if (lastHeard && Date.now() - lastHeard > 5000) mark("nothing was heard for 5 s"); }, 1000);

// ---- tables

// columns: [{name, number, text, cell(row), sort}]; with `order` the headings sort.
function table(caption, columns, order = null) {
  const body = h("tbody"), rows = new Map();
  const heading = (column) => {
    const kind = column.number ? "number" : "";
    if (!order || !column.sort) return h("th", { class: kind, scope: "col" }, column.name);
    const sorted = order.sort === column.sort ? (order.descending ? "descending" : "ascending") : null;
    const arrow = sorted ? (order.descending ? " ↓" : " ↑") : "";
    return h("th", { class: kind, scope: "col", "aria-sort": sorted }, h("button", { type: "button", onclick: () => order.by(column.sort) }, column.name + arrow));
  };
  const head = h("tr");
  const node = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, h("table", {}, h("thead", {}, head), body));
  node.update = (given, empty = "nothing yet") => {
    head.replaceChildren(...columns.map(heading));
    rows.clear();
    body.replaceChildren(...given.map((row) => h("tr", {}, columns.map((column) => {
      const cell = column.cell(row);
      return h("td", { class: column.number ? "number" : column.text ? "text" : null }, cell ?? "–");
    }))));
    if (!given.length) body.append(h("tr", {}, h("td", { colspan: columns.length, class: "empty" }, empty)));
  };
  return node;
}

const failure = (error) => h("p", { class: "error", role: "alert" }, String(error.message ?? error));

// Draws again now and every `seconds`, until the page is left.
function every(seconds, draw, signal) {
  const go = async () => {
    try { await draw(); } catch (error) { if (!signal.aborted) mark(String(error.message)); }
    if (!signal.aborted) setTimeout(go, seconds * 1000);
  };
  go();
}

// ---- pages: each fills `main` and keeps itself fresh until `signal` is aborted

function panel(title, ...children) {
  return h("section", { class: "panel" }, title ? h("h2", {}, title) : null, ...children);
}

function overviewPage(signal) {
  const concerns = h("ul", { class: "concerns", "aria-live": "polite" });
  const figure = (title, href, options) => {
    const value = h("div", { class: "figure" }, "–"), note = h("div", { class: "note" }, "\u00a0"), line = sparkline(title, options);
    const node = panel(href ? link(href, title) : title, value, note, line);
    return { node, set: (text, unit, more, history) => { value.replaceChildren(text, " ", h("small", {}, unit)); note.textContent = more; line.update(history); } };
  };
  const readings = figure("Readings", "/sensors", { fromZero: true }), sensors = figure("Sensors", "/sensors");
  const alarms = figure("Active alarms", "/alarms", { fromZero: true }), delay = figure("Delay, event to page");
  const letters = figure("Dead letters", "/dead-letters", { fromZero: true }), lag = figure("Unread by groups", "/groups", { fromZero: true });
  const newestAlarms = table("Most urgent alarms", alarmColumns), groups = table("Consumer groups", [
    { name: "Group", cell: (row) => row.name }, { name: "State", cell: (row) => row.state },
    { name: "Unread", number: true, cell: (row) => number(row.lag) }, { name: "Behind", number: true, cell: (row) => span(row.lag_seconds) },
    { name: "15 minutes", cell: (row) => { const line = sparkline(`lag of ${row.name}`, { small: true, fromZero: true }); line.update(row.history); return line; } },
  ]);
  main.replaceChildren(h("h1", {}, "Overview"), concerns,
    h("div", { class: "grid" }, readings.node, sensors.node, alarms.node, delay.node, letters.node, lag.node),
    h("div", { class: "wide" }, panel("Most urgent alarms", newestAlarms), panel("Consumer groups", groups)));
  let drawn = 0;
  const draw = (seen) => {
    readings.set(short.format(seen.readings.per_second), "/s", `${number(seen.readings.total)} seen since the page began`, seen.readings.history);
    sensors.set(number(seen.sensors.seen), "", `${number(seen.sensors.ok)} well, ${number(seen.sensors.warning)} warning, ${number(seen.sensors.silent)} silent`, []);
    alarms.set(number(seen.alarms.active), "", `${seen.alarms.critical} critical, ${seen.alarms.warning} warning, ${seen.alarms.info} info`, seen.alarm_history);
    delay.set(seen.delay_ms.p50 === null ? "–" : span(seen.delay_ms.p50 / 1000), "median", seen.delay_ms.p95 === null ? "no live reading yet" : `95 % within ${span(seen.delay_ms.p95 / 1000)}`, []);
    const perMinute = seen.dead_letters.history.slice(-6).reduce((sum, value) => sum + value, 0);
    letters.set(number(perMinute), "in the last minute", `${number(seen.dead_letters.total)} seen`, seen.dead_letters.history);
    const total = seen.groups.reduce((sum, group) => sum + group.lag, 0), steps = Math.max(0, ...seen.groups.map((group) => group.history.length));
    const history = Array.from({ length: steps }, (_, at) => seen.groups.reduce((sum, group) => sum + (group.history.at(at - steps) ?? 0), 0));
    lag.set(short.format(total), "records", `${seen.groups.length} groups`, history);
    // Tables are looked at, not watched: twice a second is enough.
    if (Date.now() - drawn < 500) return;
    drawn = Date.now();
    concerns.replaceChildren(...(seen.concerns.length ? seen.concerns.map((concern) =>
      h("li", { "data-level": concern.level }, link(concern.link, concern.text))) : [h("li", { "data-level": "good" }, "Everything that is watched is well.")]));
    newestAlarms.update(seen.alarms.newest, "no alarm is active");
    groups.update(seen.groups, "no group reads anything yet");
  };
  if (newest) draw(newest);
  listeners.add(draw);
  signal.addEventListener("abort", () => listeners.delete(draw));
}

const alarmColumns = [
  { name: "Severity", cell: (row) => badge(row.severity, row.severity) },
  { name: "Sensor", cell: (row) => sensorLink(row.sensor_id) },
  { name: "Rule", cell: (row) => link(`/alarms/${encodeURIComponent(row.id)}`, row.rule) },
  { name: "State", cell: (row) => row.state + (row.acknowledged_by ? `, ${row.acknowledged_by}` : "") + (row.snoozed ? ", snoozed" : "") },
  { name: "Since", cell: (row) => time(row.since) },
  { name: "Value", number: true, cell: (row) => (row.value === null ? "–" : `${Number(row.value.toPrecision(6))}${row.bound === null ? "" : ` / ${Number(row.bound.toPrecision(6))}`}`) },
];

function queryOf(names) {
  const asked = new URLSearchParams(location.search);
  return Object.fromEntries(names.map((name) => [name, asked.get(name) ?? ""]));
}

// Keeps what is asked for in the address, so that a link shows the same.
function remember(asked) {
  const text = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== "" && value !== false && value !== 0)).toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
}

function search(label, value, onchange) {
  let timer;
  const node = h("input", { type: "search", placeholder: label, "aria-label": label, value, "data-search": true,
    oninput: () => { clearTimeout(timer); timer = setTimeout(() => onchange(node.value), 150); } });
  return node;
}

function choice(label, options, value, onchange) {
  const node = h("select", { "aria-label": label, onchange: () => onchange(node.value) },
    options.map(([name, text]) => h("option", { value: name, selected: name === value }, text)));
  return node;
}

function sensorsPage(signal) {
  const size = 100, asked = { ...queryOf(["search", "health", "sort"]), descending: queryOf(["descending"]).descending === "true", offset: Number(queryOf(["offset"]).offset) || 0 };
  asked.sort ||= "id";
  let total = 0;
  const order = { get sort() { return asked.sort; }, get descending() { return asked.descending; },
    by: (name) => change({ descending: asked.sort === name ? !asked.descending : name !== "id", sort: name }) };
  const rows = table("Sensors", [
    { name: "Sensor", sort: "id", cell: (row) => sensorLink(row.id) },
    { name: "Health", sort: "health", cell: (row) => badge(row.health, row.health === "ok" ? row.status || "ok" : row.health) },
    { name: "Temperature", sort: "temperature", number: true, cell: (row) => measured(row.temperature, "°C") },
    { name: "Humidity", sort: "humidity", number: true, cell: (row) => measured(row.humidity, "%") },
    { name: "Pressure", sort: "pressure", number: true, cell: (row) => measured(row.pressure, "hPa") },
    { name: "15 minutes", cell: (row) => { const line = sparkline(`first measurement of ${row.id}`, { small: true }); line.update(row.spark); return line; } },
    { name: "Alarms", sort: "alarms", number: true, cell: (row) => number(row.alarms) },
    { name: "Seen", sort: "seen", number: true, cell: (row) => `${span(Math.max(0, Date.now() - row.seen) / 1000)} ago` },
    { name: "Usually every", number: true, cell: (row) => (row.interval_seconds ? span(row.interval_seconds) : "–") },
    { name: "Readings", sort: "readings", number: true, cell: (row) => number(row.readings) },
  ], order);
  const count = h("span", { class: "soft", role: "status" }), places = h("div");
  const before = h("button", { class: "button", type: "button", onclick: () => change({ offset: Math.max(0, asked.offset - size) }, true) }, "← Previous");
  const after = h("button", { class: "button", type: "button", onclick: () => change({ offset: asked.offset + size }, true) }, "Next →");
  main.replaceChildren(h("h1", {}, "Sensors"), h("div", { class: "tools" },
    search("Search sensors", asked.search, (text) => change({ search: text })),
    choice("Health", [["", "all"], ["ok", "well"], ["warning", "warning"], ["silent", "silent"]], asked.health, (health) => change({ health })),
    before, after, count), panel(null, rows), h("div", { class: "wide" }, panel("Where they are", places)));
  let draws = 0, lastMap = 0;
  async function draw() {
    const mine = ++draws, found = await api(`/sensors?${new URLSearchParams({ ...asked, limit: size })}`);
    if (signal.aborted || mine !== draws) return;
    total = found.total;
    rows.update(found.sensors, asked.search || asked.health ? "no sensor is like that" : "no reading has come yet; start one with: streamgauge produce sensors");
    count.textContent = total ? `${number(asked.offset + 1)} to ${number(Math.min(asked.offset + size, total))} of ${number(total)}` : "";
    before.disabled = asked.offset === 0; after.disabled = asked.offset + size >= total;
    if (Date.now() - lastMap > 10000) {
      lastMap = Date.now();
      const all = await api("/sensors?limit=1000");
      places.replaceChildren(map(all.sensors.map((row) => ({ latitude: row.latitude, longitude: row.longitude, level: row.health, label: row.id }))),
        h("p", { class: "note" }, all.total > 1000 ? "the first 1,000 sensors" : ""));
    }
  }
  function change(what, keepsOffset = false) {
    Object.assign(asked, keepsOffset ? {} : { offset: 0 }, what);
    remember(asked);
    draw().catch((error) => mark(error.message));
  }
  every(1, draw, signal);
}

function sensorPage(signal, id) {
  const facts = h("dl"), charts = h("div", { class: "wide" }), list = table("Alarms of this sensor", alarmColumns.filter((column) => column.name !== "Sensor"));
  const state = h("p", { class: "note", role: "status" }, "looking for its readings …");
  main.replaceChildren(h("h1", {}, id), h("div", { class: "wide" }, panel("Now", facts), panel("Alarms", list)), state, charts,
    h("p", {}, h("button", { class: "button", type: "button", onclick: () => save() }, "Save as CSV")));
  const units = { temperature: "°C", humidity: "%", pressure: "hPa" }, drawn = new Map();
  let points = [], marks = [], last = 0;
  function drawCharts() {
    const names = [...new Set(points.flatMap((point) => point.values.map(([name]) => name)))];
    for (const name of names) {
      if (!drawn.has(name)) {
        const chart = timeChart(`${name} of ${id}`, units[name] ?? "", tip);
        drawn.set(name, chart);
        charts.append(panel(`${name}${units[name] ? `, ${units[name]}` : ""}`, chart));
      }
      const of = points.map((point) => [point.time, point.values.find(([it]) => it === name)?.[1]]).filter(([, value]) => value !== undefined);
      drawn.get(name).update(of, marks);
    }
    state.textContent = points.length ? `the newest ${number(points.length)} readings; alarms are marked` : "none of its readings is among the newest of the topic";
  }
  function save() {
    const names = [...drawn.keys()];
    const text = [["sensor_id", "timestamp", ...names], ...points.map((point) => [id, new Date(point.time).toISOString(), ...names.map((name) => point.values.find(([it]) => it === name)?.[1] ?? "")])]
      .map((row) => row.map((cell) => (/[",\n\r]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : cell)).join(",")).join("\n");
    const address = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
    h("a", { href: address, download: "readings.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }
  api(`/sensors/${encodeURIComponent(id)}/readings`).then((found) => { points = [...found.points, ...points.filter((point) => point.time > (found.points.at(-1)?.time ?? 0))]; drawCharts(); })
    .catch((error) => { state.textContent = error.message; });
  every(0.5, async () => {
    const found = await api(`/sensors/${encodeURIComponent(id)}`);
    if (signal.aborted) return;
    const row = found.sensor, place = row.latitude === null ? "–" : `${row.latitude}, ${row.longitude}`;
    facts.replaceChildren(...[["Health", badge(row.health, row.health)], ["Status", row.status || "–"], ["Temperature", measured(row.temperature, "°C")],
      ["Humidity", measured(row.humidity, "%")], ["Pressure", measured(row.pressure, "hPa")], ["Newest reading", time(row.time)],
      ["Clock", `${span(Math.abs(row.seen - row.time) / 1000)} ${row.seen >= row.time ? "before it came" : "ahead of its arrival"}`],
      ["Usually every", row.interval_seconds ? span(row.interval_seconds) : "–"], ["Readings", number(row.readings)], ["Place", place]]
      .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    list.update(found.alarms, "it has had no alarm");
    marks = found.alarms.map((alarm) => alarm.since);
    // The live tail: what came since the last look.
    if (row.time > Math.max(last, points.at(-1)?.time ?? 0)) {
      const values = [["temperature", row.temperature], ["humidity", row.humidity], ["pressure", row.pressure]].filter(([, value]) => value !== null);
      points = [...points.slice(-4999), { time: row.time, values }];
      last = row.time;
      drawCharts();
    }
  }, signal);
}

function alarmsPage(signal) {
  const asked = queryOf(["state", "severity", "search"]), count = h("span", { class: "soft", role: "status" });
  const rows = table("Alarms", [...alarmColumns, { name: "Because", text: true, cell: (row) => row.when }]);
  const change = (what) => { Object.assign(asked, what); remember(asked); draw().catch((error) => mark(error.message)); };
  main.replaceChildren(h("h1", {}, "Alarms"), h("div", { class: "tools" },
    search("Search sensor or rule", asked.search, (text) => change({ search: text })),
    choice("State", [["", "active and over"], ["active", "active"], ["cleared", "over"]], asked.state, (state) => change({ state })),
    choice("Severity", [["", "any severity"], ["critical", "critical"], ["warning", "warning"], ["info", "info"]], asked.severity, (severity) => change({ severity })), count), panel(null, rows));
  async function draw() {
    const found = await api(`/alarms?${new URLSearchParams(asked)}`);
    if (signal.aborted) return;
    rows.update(found.alarms, "no alarm is like that");
    count.textContent = `${number(found.total)} alarms`;
  }
  every(1, draw, signal);
}

async function alarmPage(signal, id) {
  main.replaceChildren(h("h1", {}, "Alarm"), h("p", { class: "note" }, "looking …"));
  const alarm = await api(`/alarms/${encodeURIComponent(id)}`);
  if (signal.aborted) return;
  const { evidence, source, rule_version: version } = alarm.fired;
  const chart = timeChart(`${alarm.sensor_id} around the alarm`, "", tip), around = h("div", {}, h("p", { class: "note", role: "status" }, "looking for them …"));
  const values = Object.entries(evidence.values ?? {}).map(([name, value]) => `${name} = ${Number(value.toPrecision(8))}`).join(", ");
  const at = `/topics/${encodeURIComponent(source.topic)}?from=offset:${source.offset}&partition=${source.partition}`;
  main.replaceChildren(h("h1", {}, `${alarm.rule} · ${alarm.sensor_id}`), h("div", { class: "wide" },
    panel("Why it fired", h("dl", {}, ...[
      ["Severity", badge(alarm.severity, alarm.severity)], ["State", alarm.state], ["Since", time(alarm.since)], ["Sensor", sensorLink(alarm.sensor_id)],
      ["Rule", h("code", {}, evidence.when)], ["Version", version], ["Compared", evidence.value === undefined ? "–" : `${evidence.value} with ${evidence.bound}`],
      ["Figures", values || "–"], ["Note", evidence.note ?? "–"],
      ["Message", link(at, `${source.topic}, partition ${source.partition}, offset ${source.offset}`)],
    ].flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
    panel("What people did", alarm.acknowledged || alarm.notes.length ? h("ul", {}, ...[alarm.acknowledged, ...alarm.notes].filter(Boolean)
      .map((record) => h("li", {}, `${record.by}: ${record.state} ${record.text ?? ""} (${record.at})`))) : h("p", { class: "note" }, `nothing yet; acknowledge it with: streamgauge alerts ack ${alarm.id}`))),
    panel("The sensor's readings around it", around));
  try {
    const found = await api(`/sensors/${encodeURIComponent(alarm.sensor_id)}/readings?limit=5000`), near = 10 * 60 * 1000;
    const close = found.points.filter((point) => Math.abs(point.time - alarm.since) < near);
    const names = [...new Set(close.flatMap((point) => point.values.map(([name]) => name)))];
    const chosen = names.find((name) => evidence.when.includes(name)) ?? names[0];
    if (!close.length) around.replaceChildren(h("p", { class: "note" }, "they are no longer among the newest of the topic"));
    else { around.replaceChildren(chart); chart.update(close.map((point) => [point.time, point.values.find(([name]) => name === chosen)?.[1]]).filter(([, value]) => value !== undefined), [alarm.since]); }
  } catch (error) { around.replaceChildren(failure(error)); }
}

function topicsPage(signal) {
  const rows = table("Topics", [
    { name: "Topic", cell: (row) => link(`/topics/${encodeURIComponent(row.name)}`, row.name) },
    { name: "Partitions", number: true, cell: (row) => number(row.partitions.length) },
    { name: "Offsets kept", number: true, cell: (row) => number(row.records) }, { name: "In", number: true, cell: (row) => `${short.format(row.rate)} /s` },
    { name: "Read by", text: true, cell: (row) => (readers.get(row.name) ?? []).map((group) => `${group.name} (${short.format(group.lag)} unread)`).join(", ") || "nobody" },
  ]);
  const readers = new Map();
  main.replaceChildren(h("h1", {}, "Topics"), panel(null, rows));
  every(2, async () => {
    const [found, groups] = await Promise.all([api("/topics"), api("/groups")]);
    if (signal.aborted) return;
    readers.clear();
    for (const group of groups.groups) {
      for (const topic of new Set(group.partitions.map((partition) => partition.topic))) {
        const lag = group.partitions.filter((partition) => partition.topic === topic).reduce((sum, partition) => sum + partition.lag, 0);
        readers.set(topic, [...(readers.get(topic) ?? []), { name: group.name, lag }]);
      }
    }
    rows.update(found.topics, "there is no topic yet; make them with: streamgauge topics create");
  }, signal);
}

const shown = (text) => (text === null ? "null" : text.is_hex ? `0x${text.text}` : text.text) + (text?.cut ? ` … (${number(text.bytes)} bytes)` : "");

function pretty(text) {
  if (text === null || text.is_hex || text.cut) return shown(text);
  try { return JSON.stringify(JSON.parse(text.text), null, 2); } catch { return text.text; }
}

function topicPage(signal, name) {
  const asked = { from: "newest", limit: "50", ...Object.fromEntries(Object.entries(queryOf(["from", "partition", "search", "limit"])).filter(([, value]) => value)) };
  const found = h("div", { "aria-live": "polite" }), facts = h("div", {}, h("section", { class: "panel waiting" }, h("p", { class: "note" }, "asking for its partitions …"))), state = h("p", { class: "note", role: "status" });
  const from = h("input", { "aria-label": "From: newest, oldest, offset:N or time:T", value: asked.from, size: 28, list: "froms" });
  const partition = h("input", { "aria-label": "Partition", placeholder: "all partitions", value: asked.partition ?? "", size: 12, inputmode: "numeric" });
  const text = h("input", { type: "search", "aria-label": "Text in key or value", placeholder: "text in key or value", value: asked.search ?? "", "data-search": true });
  const look = h("button", { class: "button", type: "button", onclick: () => go() }, "Look");
  main.replaceChildren(h("h1", {}, name), facts, h("div", { class: "tools" }, from, h("datalist", { id: "froms" }, ["newest", "oldest", "offset:0", "time:2026-01-01T00:00:00"].map((value) => h("option", { value }))), partition, text, look), state, found);
  for (const field of [from, partition, text]) field.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
  async function go() {
    const query = Object.fromEntries(Object.entries({ from: from.value || "newest", partition: partition.value, search: text.value, limit: asked.limit }).filter(([, value]) => value !== ""));
    remember(query);
    look.disabled = true; state.textContent = "looking …";
    try {
      const began = performance.now(), answer = await api(`/topics/${encodeURIComponent(name)}/messages?${new URLSearchParams(query)}`);
      state.textContent = `${number(answer.messages.length)} messages of ${number(answer.scanned)} looked at in ${span((performance.now() - began) / 1000)}${answer.stopped ? "; there are more: narrow it down, or go on from a later offset" : ""}`;
      found.replaceChildren(...answer.messages.map((message) => h("details", { class: "panel" },
        h("summary", {}, `${message.partition}:${message.offset} `, time(message.time), ` ${shown(message.key).slice(0, 80)} `, h("span", { class: "soft" }, shown(message.value).slice(0, 160))),
        h("pre", {}, pretty(message.value)),
        message.headers.length ? h("dl", {}, message.headers.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, shown(value))])) : null)));
      if (!answer.messages.length) found.replaceChildren(h("p", { class: "empty" }, "no message is like that"));
    } catch (error) { state.textContent = ""; found.replaceChildren(failure(error)); }
    look.disabled = false;
  }
  go();
  api(`/topics/${encodeURIComponent(name)}`).then((answer) => {
    const rows = table("Partitions", [{ name: "Partition", number: true, cell: (row) => row.partition }, { name: "First offset", number: true, cell: (row) => number(row.first) },
      { name: "Next offset", number: true, cell: (row) => number(row.next) }, { name: "Leader", number: true, cell: (row) => row.leader ?? "none" },
      { name: "In sync", number: true, cell: (row) => `${row.in_sync} of ${row.replicas}` }]);
    rows.update(answer.topic.partitions);
    const settings = Object.entries(answer.settings);
    facts.replaceChildren(h("div", { class: "wide" }, panel("Partitions", rows), panel("Settings of its own", settings.length ? h("dl", {}, settings.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value ?? "–")])) : h("p", { class: "note" }, "none; the brokers' defaults apply"))), h("h2", {}, "Messages"));
  }).catch((error) => facts.replaceChildren(failure(error)));
}

function groupsPage(signal) {
  const list = h("div", { class: "wide" });
  main.replaceChildren(h("h1", {}, "Consumer groups"), list);
  every(2, async () => {
    const found = await api("/groups");
    if (signal.aborted) return;
    const open = new Set([...list.querySelectorAll("details[open]")].map((node) => node.dataset.group));
    list.replaceChildren(...found.groups.map((group) => {
      const line = sparkline(`lag of ${group.name}`, { fromZero: true });
      line.update(group.history);
      const partitions = table(`Partitions of ${group.name}`, [{ name: "Topic", cell: (row) => row.topic }, { name: "Partition", number: true, cell: (row) => row.partition },
        { name: "Committed", number: true, cell: (row) => number(row.committed) }, { name: "Next", number: true, cell: (row) => number(row.next) },
        { name: "Unread", number: true, cell: (row) => number(row.lag) }, { name: "Behind", number: true, cell: (row) => span(row.lag_seconds) }]);
      partitions.update(group.partitions, "it has committed nothing yet");
      const members = table(`Members of ${group.name}`, [{ name: "Client", cell: (row) => row.client }, { name: "Host", cell: (row) => row.host }, { name: "Partitions", text: true, cell: (row) => row.partitions.join(" ") || "none" }]);
      members.update(group.members, "nobody: records wait until a member comes");
      return panel(group.name, h("div", { class: "figure" }, short.format(group.lag), " ", h("small", {}, "unread")),
        h("p", { class: "note" }, `${group.state}, ${group.members.length} members, ${span(group.lag_seconds)} behind`), line,
        h("details", { "data-group": group.name, open: open.has(group.name) }, h("summary", {}, "Members and partitions"), members, partitions));
    }));
    if (!found.groups.length) list.replaceChildren(h("p", { class: "empty" }, "no group reads anything yet; start one with: streamgauge analyze"));
  }, signal);
}

function lettersPage(signal) {
  const reasons = table("By reason", [{ name: "Topic", cell: (row) => row.topic }, { name: "Reason", cell: (row) => row.reason }, { name: "Count", number: true, cell: (row) => number(row.count) }]);
  const list = h("div");
  main.replaceChildren(h("h1", {}, "Dead letters"), panel("By reason, of the newest thousand of each topic and what came since", reasons), h("p", { class: "note" }, "Send them again, once whatever refused them is mended, with: streamgauge dlq replay TOPIC.dlq"), list);
  let seen = -1;
  every(1, async () => {
    const found = await api("/dead-letters");
    if (signal.aborted || found.total === seen) return;
    seen = found.total;
    reasons.update(found.by_reason, "nothing was refused");
    const open = new Set([...list.querySelectorAll("details[open]")].map((node) => node.dataset.place));
    list.replaceChildren(...found.newest.map((letter) => {
      const place = `${letter.topic}:${letter.partition}:${letter.offset}`;
      return h("details", { class: "panel", "data-place": place, open: open.has(place) },
        h("summary", {}, badge("warning", letter.reason), " ", time(letter.time), ` ${letter.origin} ${letter.origin_partition}:${letter.origin_offset} `, h("span", { class: "soft" }, letter.message)),
        h("dl", {}, h("dt", {}, "Refused by"), h("dd", {}, letter.stages.join(", ")), h("dt", {}, "Key"), h("dd", {}, shown(letter.key)),
          h("dt", {}, "Where it came from"), h("dd", {}, link(`/topics/${encodeURIComponent(letter.origin)}?from=offset:${letter.origin_offset}&partition=${letter.origin_partition}`, "the record in its topic"))),
        h("pre", {}, shown(letter.value)));
    }));
  }, signal);
}

// ---- which page

let leave = new AbortController();

function route() {
  leave.abort();
  leave = new AbortController();
  tip.hidden = true;
  const [, page, ...rest] = location.pathname.split("/"), one = rest.length ? decodeURIComponent(rest.join("/")) : null;
  for (const anchor of document.querySelectorAll("nav a")) {
    const own = anchor.getAttribute("href").slice(1) === page;
    own ? anchor.setAttribute("aria-current", "page") : anchor.removeAttribute("aria-current");
  }
  const pages = { "": overviewPage, sensors: one ? sensorPage : sensorsPage, alarms: one ? alarmPage : alarmsPage, topics: one ? topicPage : topicsPage, groups: groupsPage, "dead-letters": lettersPage };
  document.title = `${one ?? (page || "overview")} · streamgauge`;
  Promise.resolve((pages[page] ?? (() => main.replaceChildren(h("p", { class: "empty" }, "There is no such page."))))(leave.signal, one))
    .catch((error) => main.append(failure(error)));
}

document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a[data-link]");
  if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  history.pushState(null, "", anchor.getAttribute("href"));
  route();
  main.focus();
  scrollTo(0, 0);
});
addEventListener("popstate", route);

// `/` searches, `g` and a letter goes to a page.
let going = false;
document.addEventListener("keydown", (event) => {
  if (event.target.matches?.("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = { o: "/", s: "/sensors", a: "/alarms", t: "/topics", g: "/groups", d: "/dead-letters" }[event.key];
  if (going && target) { history.pushState(null, "", target); route(); going = false; return; }
  going = event.key === "g";
  if (event.key === "/") { const field = main.querySelector("[data-search]"); if (field) { event.preventDefault(); field.focus(); } }
});

listen();
route();
