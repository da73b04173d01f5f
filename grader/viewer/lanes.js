// The lanes: who was what when, what was said to whom, what went wrong, what clients saw. A canvas, since a hundred
// thousand events are no elements; each frame draws only what its span of time holds, and leaves out the small print when
// there is no room for it.

import { above, atEvent, moment } from "./model.js";

const LABEL = 92; // the column of names at the left
const TOP = 26; // the ruler
const BAR = 11; // a peer's bar
const ARROWS = 2000; // more arrows than this in a frame are only counted
const STATES = 1500; // more changes of a peer than this, and only each second pixel is looked at
const RIGHT = 14;

const TERM_COLOURS = 8;
/** The colour of a term, or of a transaction: neighbours differ. */
export const cycle = (number) => `--c${(Number(number) % TERM_COLOURS) + 1}`;

/** Draws lanes into a canvas, and tells what lies under the pointer. */
export class Lanes {
  constructor(canvas, model) {
    Object.assign(this, { canvas, model, from: 0, to: 1, hidden: new Set() });
    this.places = this.layOut();
    this.setScale(true);
    this.context = canvas.getContext("2d", { alpha: false });
  }

  // ---- places: which row is whose

  layOut() {
    const { model } = this;
    const rows = [];
    let y = TOP + 8;
    for (const n of model.nodes) {
      const regions = model.regionsOf.get(n) ?? [];
      const height = Math.max(1, regions.length) * (BAR + 9) + (model.nodes.length > 5 ? 14 : 22);
      rows.push({ what: "node", n, regions, y, height, name: model.names?.[n] ?? `n${n}` });
      y += height;
    }
    if (model.clients.length > 0) y += 6;
    const shared = packClients(model);
    for (const clients of shared) {
      const name = clients.length === 1 ? clientName(model, clients[0]) : "clients";
      rows.push({ what: "client", clients, y, height: 20, name });
      y += 20;
    }
    if (model.keys.length > 0) y += 6;
    for (const key of model.keys) {
      rows.push({ what: "key", key, y, height: 24, name: `key ${key}` });
      y += 24;
    }
    this.height = y + 12;
    this.rowOf = new Map();
    for (const row of rows) {
      for (const one of row.clients ?? [row.n ?? row.key]) this.rowOf.set(`${row.what}${one}`, row);
    }
    return rows;
  }

  barY(n, region) {
    const row = this.rowOf.get(`node${n}`);
    if (!row) return -1;
    const at = Math.max(0, row.regions.indexOf(region));
    return row.y + 12 + at * (BAR + 9) + BAR / 2;
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

  x(place) {
    return LABEL + ((place - this.from) / (this.to - this.from)) * this.width;
  }

  placeAt(x) {
    return this.from + ((x - LABEL) / this.width) * (this.to - this.from);
  }

  get width() {
    return this.canvas.clientWidth - LABEL - RIGHT;
  }

  /** The first event that is not before a place. */
  eventFrom(place) {
    if (this.even) return Math.max(0, Math.min(this.model.count, Math.ceil(place)));
    return above(this.model.time, place - 1e-9);
  }

  show(from, to) {
    const least = this.least;
    const whole = this.last - this.first;
    const margin = whole * 0.02 + least * 0.05;
    let span = Math.min(Math.max(to - from, least), whole + 2 * margin);
    let start = (from + to) / 2 - span / 2;
    start = Math.min(Math.max(start, this.first - margin), this.last + margin - span);
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

  colours() {
    const style = getComputedStyle(document.documentElement);
    const known = new Map();
    return (name) => {
      if (!known.has(name)) known.set(name, style.getPropertyValue(name).trim());
      return known.get(name);
    };
  }

  draw(cursor, selected) {
    const { canvas, context: g } = this;
    const scale = window.devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth, this.height];
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
    g.font = "11px system-ui, 'DejaVu Sans', sans-serif";
    g.textBaseline = "middle";
    g.save();
    g.beginPath();
    g.rect(LABEL, 0, w - LABEL, h);
    g.clip();
    this.taken = [];
    this.drawRuler(w, h);
    this.drawFaults(w);
    for (const row of this.places) {
      if (row.what === "node") this.drawNode(row);
    }
    this.drawArrows();
    this.drawCalls();
    this.drawKeys();
    this.drawMarks(cursor, h);
    g.restore();
    this.drawNames(cursor, selected);
  }

  drawRuler(w, h) {
    const { context: g, model } = this;
    const span = this.to - this.from;
    let step = 10 ** Math.floor(Math.log10(span / 6));
    for (const by of [2, 2.5, 2]) {
      if (span / step > 10) step *= by;
    }
    if (this.even) step = Math.max(1, Math.round(step));
    g.strokeStyle = this.colour("--line");
    g.fillStyle = this.colour("--dim");
    g.lineWidth = 1;
    for (let at = Math.ceil(this.from / step) * step; at < this.to; at += step) {
      const x = Math.round(this.x(at)) + 0.5;
      g.globalAlpha = 0.5;
      line(g, x, TOP - 6, x, h);
      g.globalAlpha = 1;
      g.fillText(moment(model, this.even ? this.timeOf(at) : at), x + 3, 9);
    }
    for (const phase of model.phases) {
      const x = this.x(this.place(phase.i));
      if (x > LABEL && x < w) {
        g.strokeStyle = this.colour("--dim");
        line(g, x, TOP - 6, x, h);
        g.fillText(phase.name, x + 4, TOP - 4);
      }
    }
  }

  timeOf(i) {
    return this.model.time[Math.min(Math.max(Math.round(i), 0), this.model.count - 1)] ?? 0;
  }

  drawFaults(w) {
    const { context: g, model } = this;
    g.lineWidth = 1;
    for (const fault of model.faults) {
      const [x, x2] = [this.x(this.place(fault.i)), this.x(this.place(fault.end))];
      if (x2 < LABEL || x > w) continue;
      const struck = fault.nodes.length > 0 ? fault.nodes : [];
      for (const n of struck) {
        const row = this.rowOf.get(`node${n}`);
        if (!row) continue;
        g.fillStyle = this.colour("--shade");
        g.fillRect(x, row.y + 1, Math.max(2, x2 - x), row.height - 2);
      }
      const row = this.rowOf.get(`node${struck[0]}`);
      const y = row ? row.y + 5 : TOP + 2;
      g.fillStyle = this.colour("--bad");
      if (x2 - x > 40) this.label(fault.text, Math.max(x, LABEL) + 4, y, Math.max(x2, x + 160) - Math.max(x, LABEL));
    }
  }

  // Text where there is none yet.
  label(text, x, y, room, align = "left") {
    const { context: g } = this;
    const width = Math.min(g.measureText(text).width, room);
    const left = align === "center" ? x - width / 2 : x;
    if (this.taken.length > 250) return false;
    for (const [x1, y1, x2, y2] of this.taken) {
      if (left < x2 && left + width > x1 && y - 6 < y2 && y + 6 > y1) return false;
    }
    if (width < g.measureText(text).width) {
      const fits = Math.floor((text.length * room) / g.measureText(text).width) - 1;
      if (fits < 4) return false;
      text = `${text.slice(0, fits)}\u2026`;
    }
    this.taken.push([left - 2, y - 6, left + width + 4, y + 6]);
    g.fillText(text, left, y);
    return true;
  }

  drawNode(row) {
    const { context: g, model } = this;
    g.strokeStyle = this.colour("--line");
    g.lineWidth = 1;
    g.globalAlpha = 0.6;
    line(g, LABEL, row.y + row.height - 0.5, LABEL + this.width + RIGHT, row.y + row.height - 0.5);
    g.globalAlpha = 1;
    for (const region of row.regions) this.drawPeer(row, region);
    if (row.regions.length === 0) {
      const y = this.barY(row.n, 0);
      g.fillStyle = this.colour("--follower");
      g.fillRect(LABEL, y - 1, this.width, 2);
    }
    this.drawLives(row);
    this.drawTicks(row, model.syncs, "--dim", 4);
    this.drawTicks(row, model.others, "--other", 7);
  }

  // A peer's bar: its role gives the colour, a number where its term changes.
  drawPeer(row, region) {
    const { context: g } = this;
    const states = this.model.states.get(`${row.n}/${region}`);
    const y = this.barY(row.n, region);
    let k = Math.max(0, above(states, this.begin, (s) => s.i) - 1);
    if (above(states, this.end, (s) => s.i) - k > STATES) {
      this.drawPeerFromAfar(states, y);
      return;
    }
    let until = -Infinity;
    for (; k < states.length && states[k].i < this.end; k++) {
      const state = states[k];
      let next = k + 1;
      while (next < states.length && states[next].role === state.role && states[next].term === state.term
        && states[next].down === state.down && states[next].gone === state.gone) next++;
      const stop = next < states.length ? states[next].i : this.model.count - 1;
      const x = Math.max(this.x(this.place(state.i)), LABEL - 2);
      const x2 = Math.min(this.x(this.place(stop)), LABEL + this.width + RIGHT);
      if (!state.gone && x2 > until) {
        g.fillStyle = this.colour(state.down ? "--down" : ROLE[state.role]);
        const thin = state.role === "Follower" && !state.down ? 3 : 0;
        g.fillRect(x, y - BAR / 2 + thin, Math.max(1, x2 - x), BAR - 2 * thin);
        until = Math.max(x2, x + 1);
        const before = states[k - 1];
        if (x2 - x > 14 && !state.down && (before?.term !== state.term || x <= LABEL)) {
          g.fillStyle = this.colour("--dim");
          this.label(`term ${state.term}`, x + 1, y + BAR, Math.max(x2 - x, 40));
        }
        if (state.role === "Leader" && !state.down && x2 - x > 34) {
          g.fillStyle = "#ffffff";
          g.fillText(row.regions.length > 1 ? `leads r${region}` : "leader", x + 4, y + 0.5);
        }
        if (before === undefined && region > 1 && x > LABEL && row.regions.length > 1) {
          g.fillStyle = this.colour("--dim");
          this.label(`r${region} is born`, x + 2, y - BAR, 80);
        }
      } else if (state.gone && x > LABEL) {
        g.fillStyle = this.colour("--bad");
        this.label(`r${region} removed`, x + 2, y, 90);
      }
      k = next - 1;
    }
  }

  drawPeerFromAfar(states, y) {
    const { context: g } = this;
    for (let x = LABEL; x < LABEL + this.width; x += 2) {
      const state = atEvent(states, this.eventFrom(this.placeAt(x + 2)));
      if (!state || state.gone) continue;
      g.fillStyle = this.colour(state.down ? "--down" : ROLE[state.role]);
      const thin = state.role === "Follower" && !state.down ? 3 : 0;
      g.fillRect(x, y - BAR / 2 + thin, 2, BAR - 2 * thin);
    }
  }

  drawLives(row) {
    const { context: g } = this;
    const lives = this.model.lives.get(row.n) ?? [];
    for (let k = 0; k < lives.length; k++) {
      const life = lives[k];
      const x = this.x(this.place(life.i));
      const x2 = this.x(k + 1 < lives.length ? this.place(lives[k + 1].i) : this.last);
      if (x2 < LABEL || x > LABEL + this.width + RIGHT) continue;
      if (life.up) {
        if (k > 0) {
          g.fillStyle = this.colour("--good");
          this.label("starts", x + 2, row.y + row.height - 8, 60);
        }
        continue;
      }
      const left = Math.max(x, LABEL);
      g.fillStyle = this.colour("--down");
      g.globalAlpha = 0.22;
      g.fillRect(left, row.y + 2, Math.max(2, x2 - left), row.height - 4);
      g.globalAlpha = 1;
      g.fillStyle = this.colour("--bad");
      g.strokeStyle = this.colour("--bad");
      g.lineWidth = 2;
      const y = this.barY(row.n, row.regions[0]);
      cross(g, x, y, 5);
      this.label(`crash (${life.how})`, x + 8, row.y + row.height - 8, Math.max(120, x2 - x));
    }
  }

  drawTicks(row, of, colour, size) {
    const { context: g } = this;
    const events = of.get(row.n);
    if (!events) return;
    const y = row.y + row.height - 2;
    g.strokeStyle = this.colour(colour);
    g.lineWidth = 1;
    let last = -9;
    g.beginPath();
    const [first, stop] = [above(events, this.begin - 1), above(events, this.end - 1)];
    const by = Math.max(1, Math.floor((stop - first) / STATES));
    for (let k = first; k < stop; k += by) {
      const x = Math.round(this.x(this.place(events[k]))) + 0.5;
      if (x - last < 1) continue;
      g.moveTo(x, y);
      g.lineTo(x, y - size);
      last = x;
    }
    g.stroke();
  }

  // ---- messages

  drawArrows() {
    const { model, begin, end } = this;
    const sent = above(model.arrows, begin - 1, (a) => a.i);
    const arrived = above(model.ends, begin - 1, (a) => a.end);
    const stop = above(model.arrows, end - 1, (a) => a.i);
    this.inFrame = [];
    if (stop - sent > ARROWS) {
      this.drawDensity(sent, stop);
      return;
    }
    const frame = new Set();
    for (let k = sent; k < model.arrows.length && model.arrows[k].i < end; k++) frame.add(model.arrows[k]);
    for (let k = arrived; k < model.ends.length && model.ends[k].end < end; k++) frame.add(model.ends[k]);
    this.inFrame = [...frame].filter((arrow) => !this.hidden.has(arrow.family));
    // Labels go to the rarest first.
    const rank = { vote: 0, snapshot: 1, other: 2, append: 3, beat: 4 };
    this.inFrame.sort((a, b) => rank[a.family] - rank[b.family] || a.i - b.i);
    for (const arrow of this.inFrame) this.drawArrow(arrow);
    if (this.inFrame.length > 160) return;
    for (const arrow of this.inFrame) this.nameArrow(arrow);
  }

  ends(arrow) {
    const [y, y2] = [this.barY(arrow.from, arrow.region), this.barY(arrow.to, arrow.region)];
    const x = this.x(this.place(arrow.i));
    const stop = arrow.end >= 0 ? arrow.end : arrow.i;
    let x2 = this.x(this.place(stop));
    if (arrow.end < 0 || (arrow.why && x2 - x < 14)) x2 = x + 16;
    const toward = y2 > y ? 1 : -1;
    return { x, y: y + toward * (BAR / 2), x2, y2: y2 - toward * (BAR / 2), lost: arrow.why !== "", open: arrow.end < 0 };
  }

  drawArrow(arrow) {
    const { context: g } = this;
    let { x, y, x2, y2, lost, open } = this.ends(arrow);
    if (y < 0 || y2 < 0) return;
    g.strokeStyle = this.colour(`--${arrow.family}`);
    g.fillStyle = g.strokeStyle;
    g.lineWidth = arrow.family === "beat" ? 0.8 : 1.4;
    g.globalAlpha = arrow.family === "beat" ? 0.7 : 1;
    if (lost || open) {
      // What does not arrive ends on the way.
      [x2, y2] = [x + (x2 - x) * 0.55, y + (y2 - y) * 0.55];
      g.setLineDash([4, 3]);
    }
    line(g, x, y, x2, y2);
    g.setLineDash([]);
    if (lost) {
      g.strokeStyle = this.colour("--bad");
      g.lineWidth = 1.6;
      cross(g, x2, y2, 3.5);
    } else if (!open) {
      arrowHead(g, x, y, x2, y2, arrow.family === "beat" ? 4 : 6);
    }
    g.globalAlpha = 1;
  }

  nameArrow(arrow) {
    const { context: g } = this;
    const { x, y, x2, y2, lost } = this.ends(arrow);
    if (y < 0 || y2 < 0) return;
    if (arrow.family === "beat" && !lost && this.inFrame.length > 40) return;
    g.fillStyle = this.colour(lost ? "--bad" : `--${arrow.family}`);
    const text = `${arrow.kind} ${arrow.text}`.trim() + (lost ? ` \u2717 ${arrow.why}` : "") + (arrow.twice ? " (twice)" : "");
    const part = lost ? 0.3 : 0.5;
    this.label(text, x + (x2 - x) * part + 5, y + (y2 - y) * part, 190);
  }

  // Too many to tell apart: how much each node heard, as a hill.
  drawDensity(first, stop) {
    const { context: g, model } = this;
    const columns = Math.ceil(this.width / 4);
    const heard = new Map(model.nodes.map((n) => [n, new Uint32Array(columns + 1)]));
    const by = Math.max(1, Math.floor((stop - first) / 10000));
    let most = 1;
    for (let k = first; k < stop; k += by) {
      const arrow = model.arrows[k];
      if (this.hidden.has(arrow.family)) continue;
      const at = Math.floor((this.x(this.place(arrow.i)) - LABEL) / 4);
      if (at >= 0 && at <= columns) most = Math.max(most, ++heard.get(arrow.to)[at]);
    }
    g.fillStyle = this.colour("--beat");
    g.globalAlpha = 0.45;
    for (const row of this.places) {
      if (row.what !== "node") continue;
      const base = row.y + row.height - 3;
      heard.get(row.n).forEach((count, at) => {
        const tall = (count / most) * (row.height - BAR - 12);
        if (count > 0) g.fillRect(LABEL + at * 4, base - tall, 3, tall);
      });
    }
    g.globalAlpha = 1;
  }

  // ---- clients, keys

  drawCalls() {
    const { context: g, model } = this;
    for (const call of model.calls) {
      const row = this.rowOf.get(`client${call.client}`);
      const [x, x2] = [this.x(this.place(call.i)), this.x(this.place(call.end))];
      if (!row || x2 < LABEL || x > LABEL + this.width + RIGHT) continue;
      const y = row.y + 3;
      const wide = Math.max(3, x2 - x);
      g.fillStyle = this.colour({ ok: "--good", never: "--follower", unknown: "--warn", open: "--warn" }[call.how]);
      g.globalAlpha = call.how === "ok" ? 0.35 : 0.45;
      g.fillRect(x, y, wide, 14);
      g.globalAlpha = 1;
      if (call.how === "unknown" || call.how === "open") {
        g.strokeStyle = this.colour("--warn");
        g.setLineDash([3, 3]);
        g.strokeRect(x + 0.5, y + 0.5, wide - 1, 13);
        g.setLineDash([]);
      }
      if (call.blamed) {
        g.strokeStyle = this.colour("--bad");
        g.lineWidth = 2;
        g.strokeRect(x - 1, y - 1, wide + 2, 16);
        g.lineWidth = 1;
      }
      g.fillStyle = this.colour("--fg");
      if (wide <= 24 && !call.blamed) continue;
      const who = row.clients.length > 1 ? `${clientName(model, call.client)}: ` : "";
      const end = { ok: ` \u2192 ${call.result}`, never: `: ${call.result}`, unknown: " \u2192 ?", open: " \u2026" }[call.how];
      const from = Math.max(x, LABEL) + 3;
      const room = call.blamed ? Math.max(260, x2 - from) : Math.max(x2 - from - 3, 10);
      this.label(`${who}${call.text}${end}`, from, y + 7.5, room);
    }
  }

  drawKeys() {
    const { context: g, model } = this;
    for (const span of model.spans) {
      const row = this.rowOf.get(`key${span.key}`);
      const [x, x2] = [this.x(this.place(span.i)), this.x(this.place(span.end))];
      if (!row || x2 < LABEL || x > LABEL + this.width + RIGHT) continue;
      const y = row.y + 4;
      g.fillStyle = this.colour(cycle(span.txn));
      g.globalAlpha = 0.75;
      g.fillRect(x, y, Math.max(3, x2 - x), 16);
      g.globalAlpha = 1;
      g.fillStyle = this.colour("--fg");
      const primary = span.primary === span.key ? "primary lock" : `lock, primary ${span.primary}`;
      this.label(`txn ${span.txn}: ${primary}`, Math.max(x, LABEL) + 4, y + 8.5, Math.max(x2 - Math.max(x, LABEL) - 6, 20));
    }
    for (const mark of model.marks) {
      const row = this.rowOf.get(`key${mark.key}`);
      const x = this.x(this.place(mark.i));
      if (!row || x < LABEL || x > LABEL + this.width + RIGHT) continue;
      const y = row.y + 12;
      const back = mark.kind === "Rollback";
      g.strokeStyle = this.colour(back ? "--bad" : "--good");
      g.fillStyle = g.strokeStyle;
      g.lineWidth = 2;
      if (back) cross(g, x, y, 5);
      else diamond(g, x, y, 6);
      const text = back ? `txn ${mark.txn} rolled back` : `txn ${mark.txn} committed @${mark.commit}`;
      this.label(text, x + 9, y, 150);
    }
  }

  // ---- the cursor, the two facts, the violation

  drawMarks(cursor, h) {
    const { context: g, model } = this;
    const column = (i, colour, text, dash) => {
      if (i < 0) return;
      const x = Math.round(this.x(this.place(i))) + 0.5;
      if (x < LABEL - 1 || x > LABEL + this.width + RIGHT) return;
      g.strokeStyle = this.colour(colour);
      g.fillStyle = g.strokeStyle;
      g.lineWidth = 1.5;
      g.setLineDash(dash);
      line(g, x, TOP - 6, x, h);
      g.setLineDash([]);
      if (!text) return;
      const wide = g.measureText(text).width + 10;
      const left = Math.min(x, LABEL + this.width + RIGHT - wide);
      g.fillRect(left, TOP - 12, wide, 15);
      g.fillStyle = this.colour("--bg");
      g.fillText(text, left + 5, TOP - 4);
    };
    column(model.cause, "--warn", "cause", [5, 4]);
    column(model.violation, "--bad", "rule broken", []);
    model.facts?.forEach((i, at) => {
      if (i < 0 || i === model.violation) return;
      const x = this.x(this.place(i));
      const y = this.eventY(i);
      if (x < LABEL || x > LABEL + this.width + RIGHT) return;
      g.fillStyle = this.colour("--bad");
      g.beginPath();
      g.arc(x, y, 8, 0, 7);
      g.fill();
      g.fillStyle = this.colour("--bg");
      g.textAlign = "center";
      g.fillText("AB"[at], x, y + 0.5);
      g.textAlign = "left";
    });
    column(cursor, "--fg", "", [2, 2]);
    const y = this.eventY(cursor);
    g.strokeStyle = this.colour("--fg");
    g.lineWidth = 2;
    g.beginPath();
    g.arc(this.x(this.place(cursor)), y, 5, 0, 7);
    g.stroke();
  }

  eventY(i) {
    const { model } = this;
    const event = model.lines[i];
    if (!event) return TOP;
    const client = this.rowOf.get(`client${model.callAt.get(i)?.client}`);
    if (client) return client.y + 10;
    const row = event.key !== undefined && this.rowOf.get(`key${event.key}`);
    if (row) return row.y + 12;
    return model.node[i] ? this.barY(model.node[i], model.region[i]) : TOP;
  }

  drawNames(cursor, selected) {
    const { context: g, model } = this;
    g.fillStyle = this.colour("--bg");
    g.fillRect(0, 0, LABEL, this.height);
    for (const row of this.places) {
      const picked = row.what === "node" && row.n === selected;
      if (picked) {
        g.fillStyle = this.colour("--panel");
        g.fillRect(0, row.y, LABEL, row.height);
      }
      g.fillStyle = this.colour("--fg");
      g.font = `${row.what === "node" ? "bold 13px" : "11px"} system-ui, 'DejaVu Sans', sans-serif`;
      const y = row.what === "node" ? row.y + 13 : row.y + row.height / 2;
      g.fillText(row.name.length > 14 ? `${row.name.slice(0, 13)}\u2026` : row.name, 6, y);
      g.font = "10.5px system-ui, 'DejaVu Sans', sans-serif";
      if (row.what === "node") {
        row.regions.slice(0, Math.max(1, Math.floor((row.height - 18) / 13))).forEach((region, at) => {
          const state = atEvent(model.states.get(`${row.n}/${region}`), cursor);
          if (!state) return;
          g.fillStyle = this.colour(state.down ? "--bad" : "--dim");
          const what = state.gone ? "gone" : state.down ? "down" : `${SHORT[state.role]} @${state.term}`;
          g.fillText(row.regions.length > 1 ? `r${region} ${what}` : what, 6, row.y + 28 + at * 13);
        });
      }
      g.font = "11px system-ui, 'DejaVu Sans', sans-serif";
    }
    g.strokeStyle = this.colour("--line");
    g.lineWidth = 1;
    line(g, LABEL - 0.5, 0, LABEL - 0.5, this.height);
  }

  /** The event nearest to a point; -1: none near. */
  under(x, y) {
    if (x < LABEL) return -1;
    let [best, near] = [-1, 14];
    const place = this.placeAt(x);
    const from = Math.max(0, this.eventFrom(place) - 400);
    const to = Math.min(this.model.count, from + 800);
    for (let i = from; i < to; i++) {
      const distance = Math.hypot(this.x(this.place(i)) - x, (this.eventY(i) - y) * 0.6);
      if (distance < near) [best, near] = [i, distance];
    }
    return best >= 0 ? best : Math.min(this.eventFrom(place), this.model.count - 1);
  }

  /** The node whose lane is at a height; 0: none. */
  nodeAt(y) {
    return this.places.find((row) => row.what === "node" && y >= row.y && y < row.y + row.height)?.n ?? 0;
  }
}

function clientName(model, client) {
  if (model.txns.has(client)) return `txn ${client}`;
  return model.txns.size > 0 ? "who cleans up" : `client ${client}`;
}

// Many clients that come and go share lanes, one after the other.
function packClients(model) {
  if (model.clients.length <= 6) return model.clients.map((client) => [client]);
  const spans = new Map();
  for (const call of model.calls) {
    const span = spans.get(call.client) ?? { client: call.client, from: call.i, to: 0 };
    span.to = Math.max(span.to, call.end);
    spans.set(call.client, span);
  }
  const lanes = [];
  for (const span of [...spans.values()].sort((a, b) => a.from - b.from)) {
    let lane = lanes.find((one) => one.to < span.from);
    if (!lane) lanes.push((lane = { clients: [] }));
    lane.clients.push(span.client);
    lane.to = span.to;
  }
  return lanes.map((lane) => lane.clients);
}

const ROLE = { Leader: "--leader", Candidate: "--candidate", PreCandidate: "--candidate", Follower: "--follower" };
/** A role, where there is little room. */
export const SHORT = { Leader: "leader", Candidate: "candidate", PreCandidate: "pre-cand.", Follower: "follower" };

function line(g, x, y, x2, y2) {
  g.beginPath();
  g.moveTo(x, y);
  g.lineTo(x2, y2);
  g.stroke();
}

function cross(g, x, y, r) {
  line(g, x - r, y - r, x + r, y + r);
  line(g, x - r, y + r, x + r, y - r);
}

function diamond(g, x, y, r) {
  g.beginPath();
  g.moveTo(x, y - r);
  g.lineTo(x + r, y);
  g.lineTo(x, y + r);
  g.lineTo(x - r, y);
  g.fill();
}

function arrowHead(g, x, y, x2, y2, size) {
  const angle = Math.atan2(y2 - y, x2 - x);
  g.beginPath();
  g.moveTo(x2, y2);
  g.lineTo(x2 - size * Math.cos(angle - 0.4), y2 - size * Math.sin(angle - 0.4));
  g.lineTo(x2 - size * Math.cos(angle + 0.4), y2 - size * Math.sin(angle + 0.4));
  g.fill();
}
