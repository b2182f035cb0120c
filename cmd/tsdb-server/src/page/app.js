"use strict";

const REFRESH_MS = 2000;
const LEVEL_HEIGHT = 18;
const LEFT = 44;

let before = null;

const byId = (id) => document.getElementById(id);

function setText(id, text) {
  byId(id).textContent = text;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit + 1 < units.length) {
    count /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${count} B` : `${count.toFixed(1)} ${units[unit]}`;
}

function duration(ms) {
  const units = [["d", 86400000], ["h", 3600000], ["min", 60000], ["s", 1000]];
  for (const [name, length] of units) {
    if (ms >= length) {
      return `${(ms / length).toFixed(ms >= 10 * length ? 0 : 1)} ${name}`;
    }
  }
  return `${ms} ms`;
}

const count = (number) => Math.round(number).toLocaleString("en");
const time = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

function element(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function showHead(data) {
  const head = data.head;
  setText("series", count(head.series));
  setText("chunks", count(head.chunks));
  setText("head-memory", bytes(head.memoryBytes));
  const has = head.minTimeMs !== null;
  setText("span", has ? duration(head.maxTimeMs - head.minTimeMs) : "empty");
  if (before && data.nowMs > before.nowMs) {
    const samples = head.samplesAppended - before.head.samplesAppended;
    setText("rate", count(samples * 1000 / (data.nowMs - before.nowMs)));
  }
}

/* One row for each level, the oldest time at the left; the head below, dashed. */
function showTimeline(data) {
  const blocks = data.blocks;
  const levels = [...new Set(blocks.map((block) => block.level))].sort((a, b) => b - a);
  const head = data.head;
  const times = blocks.flatMap((block) => [block.minTimeMs, block.maxTimeMs]);
  if (head.minTimeMs !== null) {
    times.push(head.minTimeMs, head.maxTimeMs);
  }
  const total = bytes(data.blocksBytes);
  setText("blocks-summary", `${count(blocks.length)} blocks, ${total}, retention ${data.retention}`);
  if (times.length === 0) {
    byId("timeline").replaceChildren();
    return;
  }
  // As many units as there are pixels, so that text has its size on a phone, too.
  const width = Math.max(byId("timeline").clientWidth, 240);
  const first = Math.min(...times);
  const last = Math.max(Math.max(...times), first + 1);
  const at = (ms) => LEFT + (ms - first) / (last - first) * (width - LEFT - 4);
  const height = (levels.length + 1) * LEVEL_HEIGHT + 18;
  const label = `${blocks.length} blocks from ${time(first)} to ${time(last)}`;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const row = (name, y) => svg.append(element("text", { x: 0, y: y + 13 }, name));
  levels.forEach((level, number) => row(`level ${level}`, number * LEVEL_HEIGHT));
  row("head", levels.length * LEVEL_HEIGHT);
  const box = (from, to, y, kind, text) => svg.append(element("rect", {
    class: kind,
    x: at(from),
    y: y + 2,
    width: Math.max(at(to) - at(from), 2),
    height: LEVEL_HEIGHT - 4,
  }, element("title", {}, text)));
  for (const block of blocks) {
    const y = levels.indexOf(block.level) * LEVEL_HEIGHT;
    const text = `${block.ulid}: ${time(block.minTimeMs)} to ${time(block.maxTimeMs)}, `
      + `${bytes(block.bytes)}, ${count(block.series)} series, ${count(block.samples)} samples`;
    box(block.minTimeMs, block.maxTimeMs, y, "block", text);
  }
  if (head.minTimeMs !== null) {
    const text = `head: ${time(head.minTimeMs)} to ${time(head.maxTimeMs)}`;
    box(head.minTimeMs, head.maxTimeMs, levels.length * LEVEL_HEIGHT, "head", text);
  }
  const base = height - 16;
  svg.append(element("line", { class: "axis", x1: LEFT, x2: width - 4, y1: base, y2: base }));
  svg.append(element("text", { x: LEFT, y: height - 3 }, time(first)));
  svg.append(element("text", { x: width - 4, y: height - 3, "text-anchor": "end" }, time(last)));
  byId("timeline").replaceChildren(svg);
}

function showProblems(data) {
  byId("problems").replaceChildren(...data.problems.map((problem) => {
    const item = document.createElement("li");
    item.className = "bad";
    item.textContent = problem;
    return item;
  }));
}

function showCompaction(data) {
  const now = data.compaction;
  const bar = byId("compaction-progress");
  bar.hidden = now === null;
  if (now === null) {
    setText("compaction", "none at work");
    return;
  }
  const of = `${bytes(now.doneBytes)} of ${bytes(now.plannedBytes)}`;
  let text = `${now.phase}: ${of}`;
  const then = before && before.compaction;
  if (then && then.plannedBytes === now.plannedBytes && now.doneBytes > then.doneBytes) {
    const speed = (now.doneBytes - then.doneBytes) / (data.nowMs - before.nowMs);
    text += `, ${duration(Math.round((now.plannedBytes - now.doneBytes) / speed))} left`;
  }
  setText("compaction", text);
  bar.value = now.plannedBytes === 0 ? 0 : now.doneBytes / now.plannedBytes;
}

function bar(name, value, whole) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const label = document.createElement("span");
  const amount = document.createElement("span");
  label.textContent = name;
  amount.textContent = bytes(value);
  caption.append(label, amount);
  const outer = document.createElement("div");
  outer.className = "bar";
  const inner = document.createElement("div");
  inner.style.width = `${whole === 0 ? 0 : Math.min(100, value * 100 / whole)}%`;
  outer.append(inner);
  figure.append(caption, outer);
  return figure;
}

function showMemory(data) {
  const group = data.memory.cgroup;
  const rows = [["Blocks on disk", data.blocksBytes]];
  if (group !== null) {
    rows.push(["Page cache of the control group", group.cacheBytes]);
    rows.push(["Memory of the control group without it", group.anonBytes]);
    if (group.limitBytes !== null) {
      rows.push(["Limit of the control group", group.limitBytes]);
    }
  }
  if (data.memory.residentBytes !== null) {
    rows.push(["Resident memory of the process", data.memory.residentBytes]);
  }
  const whole = Math.max(...rows.map(([, value]) => value));
  byId("memory").replaceChildren(...rows.map(([name, value]) => bar(name, value, whole)));
}

async function refresh() {
  const state = byId("state");
  try {
    const response = await fetch("api/v1/status/overview", { cache: "no-store" });
    if (!response.ok) {
      throw new Error(response.status === 503 ? "starting or stopping" : `status ${response.status}`);
    }
    const data = (await response.json()).data;
    showHead(data);
    showTimeline(data);
    showProblems(data);
    showCompaction(data);
    showMemory(data);
    before = data;
    state.textContent = `version ${data.version}, ${time(data.nowMs)} UTC`;
    state.className = "";
  } catch (error) {
    state.textContent = `no news: ${error.message}`;
    state.className = "bad";
  }
  setTimeout(refresh, REFRESH_MS);
}

refresh();
