// The list of events: of a hundred thousand rows only those that can be seen are elements.

import { element } from "./grid.js";
import { family, moment } from "./model.js";

const ROW = 20;

/** What kinds of events the filter knows: a word, and which lines it means. */
export const KINDS = [
  ["all", "everything", () => true],
  ["votes", "votes and elections", (line, model, i) => isMessage(line, model, i, "vote") || (line.k === "state" && line.role !== "Follower")],
  ["appends", "appends", (line, model, i) => isMessage(line, model, i, "append")],
  ["snapshots", "snapshots", (line, model, i) => isMessage(line, model, i, "snapshot")],
  ["states", "changes of state", (line) => line.k === "state" || line.k === "gone"],
  ["disk", "disks", (line) => line.k === "sync" || line.k === "disk_error"],
  ["clients", "clients", (line) => line.k === "call" || line.k === "return"],
  ["transactions", "locks and records", (line) => ["lock", "unlock", "record"].includes(line.k)],
  ["faults", "what went wrong", (line) => ["fault", "heal", "crash", "open", "stop", "drop", "violation", "disk_error"].includes(line.k)],
];

function isMessage(line, model, i, wanted) {
  if (line.k === "send") return family(line.kind) === wanted;
  if (line.k !== "deliver" && line.k !== "drop") return false;
  return model.familyOf.get(line.id) === wanted;
}

/** The numbers of the events that pass all filters. */
export function filterEvents(model, { node, region, kind, text }) {
  const test = (KINDS.find(([name]) => name === kind) ?? KINDS[0])[2];
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const found = [];
  for (let i = 0; i < model.count; i++) {
    const line = model.lines[i];
    if (node && model.node[i] !== node && line.to !== node && !line.nodes?.includes(node)) continue;
    if (region && model.region[i] !== region) continue;
    if (kind !== "all" && !test(line, model, i)) continue;
    if (words.length > 0) {
      const told = model.text[i].toLowerCase();
      if (!words.every((word) => told.includes(word))) continue;
    }
    found.push(i);
  }
  return found;
}

/** A list of events that scrolls. */
export class EventList {
  constructor(box, model, chosen) {
    Object.assign(this, { box, model, chosen, events: [], cursor: -1, shown: "" });
    this.space = element("div", { className: "space" });
    this.rows = element("div", { className: "rows" });
    box.append(this.space, this.rows);
    box.addEventListener("scroll", () => this.draw());
    this.rows.addEventListener("click", (click) => {
      const row = click.target.closest("[data-event]");
      if (row) this.chosen(Number(row.dataset.event));
    });
  }

  set(events) {
    this.events = events;
    this.space.style.height = `${events.length * ROW}px`;
    this.shown = "";
    this.draw();
  }

  /** The event of the list that is nearest to `i`, not after it if there is one. */
  nearest(i) {
    let [low, high] = [0, this.events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.events[middle] > i) high = middle;
      else low = middle + 1;
    }
    return Math.max(0, low - 1);
  }

  /** Marks an event, and scrolls to it if it is out of sight. */
  mark(i) {
    this.cursor = i;
    const y = this.nearest(i) * ROW;
    const { scrollTop, clientHeight } = this.box;
    if (y < scrollTop + ROW || y > scrollTop + clientHeight - 2 * ROW) this.box.scrollTop = y - clientHeight / 2;
    this.shown = "";
    this.draw();
  }

  draw() {
    const { box, model } = this;
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
    const last = Math.min(this.events.length, first + Math.ceil(box.clientHeight / ROW) + 8);
    const state = `${first} ${last}`;
    if (state === this.shown) return;
    this.shown = state;
    this.rows.style.transform = `translateY(${first * ROW}px)`;
    const rows = [];
    for (let at = first; at < last; at++) {
      const i = this.events[at];
      const line = model.lines[i];
      const row = element("div", { className: `row k-${line.k}${i === this.cursor ? " at" : ""}` },
        element("span", { className: "when" }, moment(model, model.time[i])), element("span", { className: "what" }, model.text[i]));
      row.dataset.event = i;
      row.title = model.text[i];
      rows.push(row);
    }
    this.rows.replaceChildren(...rows);
  }
}
