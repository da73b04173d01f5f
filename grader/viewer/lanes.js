// The lanes: who was who when, what was said to whom, what went wrong, what clients saw. A canvas, since a hundred thousand
// events are no elements. Here is which lane is whose, and which place on the paper is which moment; what is drawn is in
// peers.js, arrows.js, clients.js and marks.js. Each frame draws only what its span of time holds, and leaves out the small
// print when there is no room for it.

import { above, atEvent } from "./model.js";
import { Labels, SHORT, line } from "./pen.js";
import { BAR, drawNode } from "./peers.js";
import { drawArrows } from "./arrows.js";
import { drawCalls, drawKeys, packCalls } from "./clients.js";
import { TOP, drawFaults, drawMarks, drawRuler } from "./marks.js";

const LABEL = 104; // the column of names at the left
const RIGHT = 14;
const FONT = "system-ui, 'DejaVu Sans', sans-serif";

/** Draws lanes into a canvas, and tells what lies under the pointer. */
export class Lanes {
  constructor(canvas, model) {
    Object.assign(this, { canvas, model, from: 0, to: 1, hidden: new Set(), chosen: null, left: LABEL });
    this.g = canvas.getContext("2d", { alpha: false });
    this.layOut();
    this.setScale(true);
    this.measure();
  }

  // ---- places: which row is whose

  layOut() {
    const { model } = this;
    this.rows = [];
    this.rowOf = new Map();
    let y = TOP + 8;
    const add = (row) => {
      this.rows.push({ ...row, y });
      y += row.height;
      return this.rows[this.rows.length - 1];
    };
    for (const n of model.nodes) {
      const regions = model.regionsOf.get(n) ?? [];
      const roomy = model.nodes.length < 6 && regions.length === 1;
      const height = Math.max(1, regions.length) * (BAR + 11) + (roomy ? 26 : model.nodes.length > 5 ? 14 : 20);
      this.rowOf.set(`node${n}`, add({ what: "node", n, regions, height, roomy, name: model.names[n] ?? `n${n}` }));
    }
    if (model.clients.length > 0) y += 6;
    this.callRows = packCalls(model).map((name) => add({ what: "client", height: 20, name, shared: name === "clients" }));
    if (model.keys.length > 0) y += 6;
    for (const key of model.keys) this.rowOf.set(`key${key}`, add({ what: "key", key, height: 24, name: `key ${key}` }));
    this.height = y + 12;
  }

  /** The middle of the bar of a node's peer of a region; -1: there is no such lane. */
  barY(n, region) {
    const row = this.rowOf.get(`node${n}`);
    if (!row) return -1;
    const at = Math.max(0, row.regions.indexOf(region));
    return row.y + 12 + at * (BAR + 11) + BAR / 2;
  }

  // ---- the scale: an event's place is its time, or, spaced evenly, its number

  setScale(even) {
    const { model } = this;
    this.even = even;
    this.place = even ? (i) => i : (i) => model.time[i];
    this.first = model.count > 0 ? this.place(0) : 0;
    this.last = model.count > 0 ? Math.max(this.place(model.count - 1), this.first + 1) : 1;
    this.least = even ? 4 : 40;
  }

  /** Looks at the canvas once: its width, asked for at each event, would be the dearest thing of a frame. */
  measure() {
    this.wide = this.canvas.clientWidth;
    this.right = this.wide - RIGHT;
    this.width = this.right - LABEL;
  }

  x(place) {
    return LABEL + ((place - this.from) / (this.to - this.from)) * this.width;
  }

  /** Where an event is. */
  xOf(i) {
    return this.x(this.place(i));
  }

  placeAt(x) {
    return this.from + ((x - LABEL) / this.width) * (this.to - this.from);
  }

  /** The first event that is not before a place. */
  eventFrom(place) {
    if (this.even) return Math.max(0, Math.min(this.model.count, Math.ceil(place)));
    return above(this.model.time, place - 1e-9);
  }

  show(from, to) {
    const { least, first, last } = this;
    const whole = last - first;
    const margin = whole * 0.02 + least * 0.05;
    const span = Math.min(Math.max(to - from, least), whole + 2 * margin);
    const start = Math.min(Math.max((from + to) / 2 - span / 2, first - margin), last + margin - span);
    [this.from, this.to] = [start, start + span];
  }

  showEvents(i, j) {
    const [a, b] = [this.place(i), this.place(j)];
    const margin = Math.max((b - a) * 0.06, this.least * 0.1);
    this.show(a - margin, b + margin * 1.5);
  }

  keepInSight(i) {
    const at = this.place(i);
    const span = this.to - this.from;
    if (at < this.from + span * 0.04 || at > this.to - span * 0.04) this.show(at - span / 2, at + span / 2);
  }

  zoom(by, x = LABEL + this.width / 2) {
    const at = this.placeAt(x);
    this.show(at - (at - this.from) * by, at + (this.to - at) * by);
  }

  // ---- a frame

  /** The page's colours, by name. */
  colours() {
    const style = getComputedStyle(document.documentElement);
    const known = new Map();
    return (name) => {
      if (!known.has(name)) known.set(name, style.getPropertyValue(name).trim());
      return known.get(name);
    };
  }

  /** Whether an event passes the filters; what does not is drawn faintly. */
  wanted(i) {
    return this.chosen === null || this.chosen[i] === 1;
  }

  draw(cursor, selected) {
    const { canvas, g } = this;
    this.measure();
    const scale = window.devicePixelRatio || 1;
    const [w, h] = [this.wide, this.height];
    if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
      canvas.width = Math.round(w * scale);
      canvas.height = Math.round(h * scale);
      canvas.style.height = `${h}px`;
    }
    g.setTransform(scale, 0, 0, scale, 0, 0);
    this.colour = this.colours();
    this.begin = this.eventFrom(this.from);
    this.end = Math.min(this.model.count, this.eventFrom(this.to) + 1);
    g.fillStyle = this.colour("--bg");
    g.fillRect(0, 0, w, h);
    g.font = `11px ${FONT}`;
    g.textBaseline = "middle";
    this.labels = new Labels(g, this.colour("--bg"));
    g.save();
    g.beginPath();
    g.rect(LABEL, 0, w - LABEL, h);
    g.clip();
    drawRuler(this);
    drawFaults(this);
    for (const row of this.rows) {
      if (row.what === "node") drawNode(this, row);
    }
    drawArrows(this);
    drawCalls(this);
    drawKeys(this);
    drawMarks(this, cursor);
    g.restore();
    this.drawNames(cursor, selected);
  }

  drawNames(cursor, selected) {
    const { g, model } = this;
    g.fillStyle = this.colour("--bg");
    g.fillRect(0, 0, LABEL, this.height);
    for (const row of this.rows) {
      const node = row.what === "node";
      if (node && row.n === selected) {
        g.fillStyle = this.colour("--panel");
        g.fillRect(0, row.y, LABEL, row.height);
      }
      g.fillStyle = this.colour("--fg");
      g.font = `${node ? "bold 13px" : "11px"} ${FONT}`;
      const name = row.name.length > 14 ? `${row.name.slice(0, 13)}\u2026` : row.name;
      g.fillText(name, 6, node ? row.y + 13 : row.y + row.height / 2);
      if (!node) continue;
      g.font = `10.5px ${FONT}`;
      row.regions.slice(0, Math.max(1, Math.floor((row.height - 18) / 13))).forEach((region, at) => {
        const state = atEvent(model.states.get(`${row.n}/${region}`), cursor);
        if (!state) return;
        g.fillStyle = this.colour(state.down ? "--bad" : "--dim");
        const what = state.gone ? "gone" : state.starting ? "starting" : state.down ? "down" : `${SHORT[state.role]} @${state.term}`;
        g.fillText(row.regions.length > 1 ? `r${region} ${what}` : what, 6, row.y + 28 + at * 13);
      });
    }
    g.strokeStyle = this.colour("--line");
    g.lineWidth = 1;
    line(g, LABEL - 0.5, 0, LABEL - 0.5, this.height);
  }

  // ---- what lies where

  /** The height at which an event is drawn. */
  eventY(i) {
    const { model } = this;
    const event = model.lines[i];
    if (!event) return TOP;
    const client = this.callRows[model.callAt.get(i)?.row];
    if (client) return client.y + 10;
    const row = event.key !== undefined && this.rowOf.get(`key${event.key}`);
    if (row) return row.y + 12;
    return model.node[i] ? this.barY(model.node[i], model.region[i]) : TOP;
  }

  /** The event nearest to a point; -1: none near. */
  under(x, y) {
    if (x < LABEL) return -1;
    let [best, near] = [-1, 14];
    const place = this.placeAt(x);
    const from = Math.max(0, this.eventFrom(place) - 400);
    const to = Math.min(this.model.count, from + 800);
    for (let i = from; i < to; i++) {
      const distance = Math.hypot(this.xOf(i) - x, (this.eventY(i) - y) * 0.6);
      if (distance < near) [best, near] = [i, distance];
    }
    return best >= 0 ? best : Math.min(this.eventFrom(place), this.model.count - 1);
  }

  /** The node whose lane is at a height; 0: none. */
  nodeAt(y) {
    return this.rows.find((row) => row.what === "node" && y >= row.y && y < row.y + row.height)?.n ?? 0;
  }
}
