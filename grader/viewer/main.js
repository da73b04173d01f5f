// The page: one cursor, on an event, and everything that shows what was so at that moment.

import { above, moment, readTrace } from "./model.js";
import { Lanes } from "./lanes.js";
import { drawGrid, element, regionsAt, stateLines } from "./grid.js";
import { EventList, KINDS, filterEvents } from "./list.js";
import { Overview } from "./overview.js";

const byId = (id) => document.getElementById(id);

/** Opens a trace in the page. Returns the page, for tests and for the console. */
export function openPage(data) {
  const model = readTrace(data);
  const page = {
    model,
    cursor: 0,
    node: model.nodes[0] ?? 0,
    region: 0,
    filters: { node: 0, region: 0, kind: "all", text: "" },
    playing: 0,
    frames: 0,
  };
  page.lanes = new Lanes(byId("lanes"), model);
  page.overview = new Overview(byId("overview"), model, page.lanes, () => redraw(page));
  page.list = new EventList(byId("events"), model, (i) => go(page, i));
  tellStory(page);
  fillFilters(page);
  byId("even").checked = page.lanes.even;
  bind(page);
  page.list.set(filterEvents(model, page.filters));
  page.cursor = firstEvent(model);
  if (!fromLink(page)) {
    firstLook(page);
    go(page, page.cursor);
  }
  return page;
}

const MUCH = 150; // more events than this at once, and nobody sees one of them

// Where to begin: at the violation; or, if it was only noticed long after it had come about, at the later fact.
function firstEvent(model) {
  const fact = Math.max(-1, ...(model.facts ?? []));
  if (model.violation < 0) return model.jumps.election[0] ?? 0;
  return fact >= 0 && model.violation - fact > MUCH ? fact : model.violation;
}

// What is to be seen first: from the cause to the cursor, if that is not too much; else what was before the cursor.
function firstLook(page) {
  const { model, lanes } = page;
  const { violation } = model;
  const late = violation >= 0 && page.cursor < violation;
  const end = violation < 0 || late ? Math.min(model.count - 1, page.cursor + (late ? 12 : 45)) : page.cursor;
  const causes = [model.cause, ...(model.facts ?? [])].filter((i) => i >= 0);
  let from = causes.length > 0 ? Math.min(...causes) : 0;
  if (end - from > MUCH || violation < 0) from = Math.max(0, end - 90);
  if (end - from < 40) from = Math.max(0, end - 60);
  lanes.showEvents(from, end);
}

// `toLocaleString` would load a table of all countries first: a tenth of a second.
const thousands = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

function tellStory(page) {
  const { model } = page;
  document.title = model.title;
  byId("title").textContent = model.title;
  const sum = [`seed ${model.lines[0]?.seed ?? "?"}`, `${thousands(model.count)} events`,
    `${model.nodes.length} nodes`, `until ${moment(model, model.time[model.count - 1] ?? 0)}`];
  byId("sum").textContent = sum.join(" \u00b7 ");
  byId("command").textContent = model.command ?? "";
  const broken = model.lines[model.violation];
  byId("story").classList.toggle("fine", !broken);
  byId("broke").textContent = broken ? broken.what : (model.about || "No rule was broken in this run.");
  const facts = byId("facts");
  broken?.facts.forEach((fact, at) => {
    const i = model.facts?.[at] ?? -1;
    const tag = element("button", { className: "tag", title: "go there (a, b)", disabled: i < 0 }, "AB"[at] ?? "?");
    tag.addEventListener("click", () => go(page, i));
    facts.append(element("li", {}, tag, element("span", {}, fact)));
  });
  if (broken && model.about) byId("about").textContent = model.about;
}

function fillFilters(page) {
  const { model } = page;
  const option = (value, text) => element("option", { value }, text);
  byId("by-node").append(option(0, "any node"), ...model.nodes.map((n) => option(n, model.names?.[n] ?? `n${n}`)));
  const regions = new Set([...model.states.keys()].map((key) => Number(key.split("/")[1])));
  byId("by-region").append(option(0, "any region"), ...[...regions].sort((a, b) => a - b).map((r) => option(r, `r${r}`)));
  byId("by-region").hidden = regions.size < 2;
  const kinds = KINDS.filter(([name, , test]) => name === "all" || model.lines.some((line, i) => test(line, model, i)));
  byId("by-kind").append(...kinds.map(([name, text]) => option(name, text)));
}

/** Puts the cursor on event `i`. */
export function go(page, i, { keep = true } = {}) {
  const { model, lanes } = page;
  page.cursor = Math.max(0, Math.min(model.count - 1, i));
  const whom = model.node[page.cursor];
  if (keep && whom && model.nodes.includes(whom)) page.node = whom;
  const region = model.region[page.cursor];
  if (region) page.region = region;
  lanes.keepInSight(page.cursor);
  page.list.mark(page.cursor);
  redraw(page);
}

function redraw(page) {
  if (page.waits) return;
  page.waits = true;
  requestAnimationFrame(() => {
    page.waits = false;
    frame(page);
  });
}

function frame(page) {
  const { model, lanes } = page;
  const started = performance.now();
  lanes.draw(page.cursor, page.node);
  page.overview.draw(page.cursor);
  page.spent = performance.now() - started;
  page.frames += 1;
  if (page.told === page.cursor && page.toldNode === page.node) return;
  [page.told, page.toldNode] = [page.cursor, page.node];
  byId("when").textContent = `${page.cursor + 1} of ${model.count}, ${moment(model, model.time[page.cursor])}`;
  byId("now").textContent = model.text[page.cursor] ?? "";
  const regions = regionsAt(model, page.cursor);
  if (!regions.includes(page.region)) page.region = regions[0] ?? 0;
  const tabs = byId("regions");
  tabs.replaceChildren(...(regions.length > 1 ? regions : []).map((region) => {
    const tab = element("button", { className: region === page.region ? "on" : "" }, `r${region}`);
    tab.addEventListener("click", () => {
      page.region = region;
      page.told = -1;
      redraw(page);
    });
    return tab;
  }));
  drawGrid(byId("grid"), model, page.region, page.cursor, page.node);
  const lines = stateLines(model, page.node, page.cursor);
  byId("state").replaceChildren(...lines.map(({ text, at }) => {
    const line = element("li", {}, element("button", { className: "link", title: "go to this change" }, text));
    line.firstChild.addEventListener("click", () => go(page, at));
    return line;
  }));
  const keys = model.states.size === 0 && model.keys.length > 0;
  byId("gridname").textContent = keys ? "Locks and records at the cursor" : "The logs at the cursor";
  byId("gridhint").hidden = model.states.size === 0;
  byId("who").textContent = page.node && lines.length > 0 ? `n${page.node}: what it said of itself last` : "";
  history.replaceState(null, "", link(page));
}

// ---- a link that carries the position

function link(page) {
  const { filters, lanes } = page;
  const parts = [`e=${page.cursor}`, `n=${page.node}`, `z=${lanes.from.toFixed(0)},${lanes.to.toFixed(0)}`];
  if (!lanes.even) parts.push("even=0");
  for (const [name, value] of Object.entries(filters)) {
    if (value && value !== "all") parts.push(`${name}=${encodeURIComponent(value)}`);
  }
  return `#${parts.join("&")}`;
}

function fromLink(page, hash = location.hash) {
  const wanted = new URLSearchParams(hash.slice(1));
  const named = wanted.has("to") || wanted.has("find");
  if (!named && !wanted.has("e")) return false;
  setEven(page, wanted.get("even") !== "0");
  for (const name of ["node", "region", "kind", "text"]) {
    if (wanted.has(name)) byId(`by-${name}`).value = wanted.get(name);
  }
  refilter(page);
  if (named) lookFor(page, wanted.get("to"), wanted.get("find"));
  const [from, to] = (wanted.get("z") ?? "").split(",").map(Number);
  if (to > from) page.lanes.show(from, to);
  else if (!named) firstLook(page);
  if (!named) go(page, Number(wanted.get("e")) || 0);
  if (wanted.has("n")) page.node = Number(wanted.get("n"));
  return true;
}

// `#to=fault`, `#find=some words`: a link that a person can write; with `z=100,160` for the part of the run to be shown.
function lookFor(page, to, words) {
  page.cursor = 0;
  if (words !== null) {
    const found = filterEvents(page.model, { node: 0, region: 0, kind: "all", text: words });
    if (found.length > 0) go(page, found[0]);
  } else {
    JUMPS[to]?.(page);
  }
  page.lanes.showEvents(Math.max(0, page.cursor - 35), Math.min(page.model.count - 1, page.cursor + 30));
}

function setEven(page, even) {
  const { lanes } = page;
  const [from, to] = [lanes.eventFrom(lanes.from), lanes.eventFrom(lanes.to)];
  lanes.setScale(even);
  page.overview.measure();
  lanes.showEvents(from, Math.max(from + 1, Math.min(to, page.model.count - 1)));
  byId("even").checked = even;
}

function refilter(page) {
  page.filters = {
    node: Number(byId("by-node").value),
    region: Number(byId("by-region").value),
    kind: byId("by-kind").value || "all",
    text: byId("by-text").value,
  };
  const found = filterEvents(page.model, page.filters);
  page.list.set(found);
  // The lanes fade what the list leaves out.
  page.lanes.chosen = null;
  if (found.length < page.model.count) {
    page.lanes.chosen = new Uint8Array(page.model.count);
    for (const i of found) page.lanes.chosen[i] = 1;
  }
  byId("found").textContent = `${thousands(found.length)} events`;
  page.list.mark(page.cursor);
  redraw(page);
}

// ---- moving

/** One step through the events of the list, which the filters choose. */
export function step(page, by) {
  const { events } = page.list;
  if (events.length === 0) return;
  let at = page.list.nearest(page.cursor);
  if (by > 0 && events[at] <= page.cursor) at += 1;
  if (by < 0 && events[at] >= page.cursor) at -= 1;
  if (at >= 0 && at < events.length) go(page, events[at]);
  else stop(page);
}

function next(page, places) {
  const at = places[above(places, page.cursor)] ?? places[0];
  if (at !== undefined) go(page, at);
}

const JUMPS = {
  violation: (page) => page.model.violation >= 0 && go(page, page.model.violation),
  cause: (page) => page.model.cause >= 0 && go(page, page.model.cause),
  election: (page) => next(page, page.model.jumps.election),
  fault: (page) => next(page, page.model.jumps.fault),
  snapshot: (page) => next(page, page.model.jumps.snapshot),
  birth: (page) => next(page, page.model.jumps.birth),
};

function stop(page) {
  clearInterval(page.playing);
  page.playing = 0;
  byId("play").textContent = "\u25b6 play";
}

function play(page) {
  if (page.playing) {
    stop(page);
    return;
  }
  byId("play").textContent = "\u23f8 pause";
  page.playing = setInterval(() => step(page, 1), 1000 / Number(byId("speed").value));
}

const KEYS = {
  ArrowRight: (page) => step(page, 1),
  ArrowLeft: (page) => step(page, -1),
  Home: (page) => go(page, 0),
  End: (page) => go(page, page.model.count - 1),
  " ": play,
  v: JUMPS.violation,
  c: JUMPS.cause,
  e: JUMPS.election,
  f: JUMPS.fault,
  s: JUMPS.snapshot,
  r: JUMPS.birth,
  a: (page) => page.model.facts?.[0] >= 0 && go(page, page.model.facts[0]),
  b: (page) => page.model.facts?.[1] >= 0 && go(page, page.model.facts[1]),
  "+": (page) => page.lanes.zoom(0.6, page.lanes.x(page.lanes.place(page.cursor))),
  "-": (page) => page.lanes.zoom(1.7, page.lanes.x(page.lanes.place(page.cursor))),
  0: (page) => page.lanes.show(page.lanes.first, page.lanes.last),
  ArrowDown: (page) => pickNode(page, 1),
  ArrowUp: (page) => pickNode(page, -1),
  o: (page) => setEven(page, !page.lanes.even),
  "/": () => byId("by-text").focus(),
  "?": () => byId("help").showModal(),
};

function pickNode(page, by) {
  const { nodes } = page.model;
  const at = nodes.indexOf(page.node);
  page.node = nodes[Math.min(Math.max(at + by, 0), nodes.length - 1)];
}

function bind(page) {
  const { model, lanes } = page;
  const canvas = byId("lanes");
  for (const [name, jump] of Object.entries(JUMPS)) {
    const button = byId(`to-${name}`);
    button.disabled = name in model.jumps ? model.jumps[name].length === 0 : (model[name] ?? -1) < 0;
    button.addEventListener("click", () => jump(page));
  }
  byId("back").addEventListener("click", () => step(page, -1));
  byId("forth").addEventListener("click", () => step(page, 1));
  byId("play").addEventListener("click", () => play(page));
  byId("speed").addEventListener("change", () => {
    if (page.playing) {
      stop(page);
      play(page);
    }
  });
  byId("whole").addEventListener("click", () => {
    KEYS[0](page);
    redraw(page);
  });
  byId("beats").addEventListener("change", (change) => {
    lanes.hidden = new Set(change.target.checked ? [] : ["beat"]);
    redraw(page);
  });
  byId("even").addEventListener("change", (change) => {
    setEven(page, change.target.checked);
    redraw(page);
  });
  byId("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    page.overview.measure();
    redraw(page);
  });
  byId("helps").addEventListener("click", () => byId("help").showModal());
  for (const name of ["by-node", "by-region", "by-kind"]) byId(name).addEventListener("change", () => refilter(page));
  byId("by-text").addEventListener("input", () => refilter(page));
  document.addEventListener("keydown", (press) => {
    if (press.target.matches("input, select, textarea") || press.ctrlKey || press.metaKey || press.altKey) {
      if (press.key === "Escape") press.target.blur();
      return;
    }
    const act = KEYS[press.key];
    if (!act || (press.target.matches("button") && press.key === " ")) return;
    press.preventDefault();
    act(page);
    redraw(page);
  });
  canvas.addEventListener("wheel", (wheel) => {
    if (wheel.shiftKey || Math.abs(wheel.deltaX) > Math.abs(wheel.deltaY)) {
      const by = ((wheel.deltaX || wheel.deltaY) / lanes.width) * (lanes.to - lanes.from);
      lanes.show(lanes.from + by, lanes.to + by);
    } else if (wheel.ctrlKey || wheel.metaKey) {
      lanes.zoom(Math.exp(wheel.deltaY / 300), wheel.offsetX);
    } else {
      return; // the page scrolls
    }
    wheel.preventDefault();
    redraw(page);
  }, { passive: false });
  drag(page, canvas);
  byId("grid").addEventListener("click", (click) => {
    const row = click.target.closest("[data-node]");
    if (row) page.node = Number(row.dataset.node);
    redraw(page);
  });
  new ResizeObserver(() => {
    page.overview.measure();
    page.list.shown = "";
    page.list.draw();
    redraw(page);
  }).observe(canvas.parentElement);
  // What the event names, not the address: a frame drawn meanwhile has written the old position there again.
  window.addEventListener("hashchange", (change) => fromLink(page, new URL(change.newURL).hash));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(page));
}

// To drag moves the time; to click puts the cursor on the nearest event.
function drag(page, canvas) {
  const { lanes } = page;
  let held = null;
  canvas.addEventListener("pointerdown", (down) => {
    held = { x: down.offsetX, y: down.offsetY, from: lanes.from, to: lanes.to, moved: false };
    canvas.setPointerCapture(down.pointerId);
  });
  canvas.addEventListener("pointermove", (move) => {
    if (!held) return;
    const by = ((held.x - move.offsetX) / lanes.width) * (held.to - held.from);
    held.moved ||= Math.abs(held.x - move.offsetX) > 4;
    if (held.moved) lanes.show(held.from + by, held.to + by);
    redraw(page);
  });
  canvas.addEventListener("pointerup", (up) => {
    if (held && !held.moved) {
      const node = lanes.nodeAt(up.offsetY);
      const i = lanes.under(up.offsetX, up.offsetY);
      if (i >= 0) go(page, i);
      if (node) page.node = node;
      redraw(page);
    }
    held = null;
  });
}
