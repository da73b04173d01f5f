// What lies behind the lanes and before them: the ruler, faults while they last, the cause, the two facts, the cursor.

import { above, firstReaching, moment } from "./model.js";
import { line } from "./pen.js";

/** The height of the ruler. */
export const TOP = 26;

/** Draws moments, and the phases of the run. */
export function drawRuler(lanes) {
  const { g, model, left, right, height } = lanes;
  const span = lanes.to - lanes.from;
  let step = 10 ** Math.floor(Math.log10(span / 6));
  for (const by of [2, 2.5, 2]) {
    if (span / step > 10) step *= by;
  }
  if (lanes.even) step = Math.max(1, Math.round(step));
  g.strokeStyle = lanes.colour("--line");
  g.fillStyle = lanes.colour("--dim");
  g.lineWidth = 1;
  for (let at = Math.ceil(lanes.from / step) * step; at < lanes.to; at += step) {
    const x = Math.round(lanes.x(at)) + 0.5;
    g.globalAlpha = 0.5;
    line(g, x, TOP - 6, x, height);
    g.globalAlpha = 1;
    const time = lanes.even ? model.time[Math.min(Math.max(Math.round(at), 0), model.count - 1)] : at;
    g.fillText(moment(model, time ?? 0), x + 3, 9);
  }
  for (const phase of model.phases) {
    const x = lanes.xOf(phase.i);
    if (x <= left || x >= right) continue;
    g.strokeStyle = lanes.colour("--dim");
    line(g, x, TOP - 6, x, height);
    g.fillText(phase.name, x + 4, TOP - 4);
  }
}

/** Shades the lanes that a fault strikes; the sides of a partition differ. */
export function drawFaults(lanes) {
  const { g, model, left, right, labels } = lanes;
  const { faults } = model;
  for (let k = firstReaching(faults, lanes.begin); k < faults.length && faults[k].i < lanes.end; k++) {
    const fault = faults[k];
    const [x, x2] = [Math.max(lanes.xOf(fault.i), left), Math.min(lanes.xOf(fault.end), right)];
    if (x2 < left) continue;
    let top = Infinity;
    for (const n of fault.nodes) {
      const row = lanes.rowOf.get(`node${n}`);
      if (!row) continue;
      top = Math.min(top, row.y);
      g.fillStyle = lanes.colour(fault.sides.get(n) > 0 ? "--shade2" : "--shade");
      g.fillRect(x, row.y + 1, Math.max(2, x2 - x), row.height - 2);
    }
    g.fillStyle = lanes.colour("--bad");
    if (x2 - x > 40) labels.put(fault.text, x + 4, top < Infinity ? top + 5 : TOP + 2, Math.max(x2 - x, 160));
  }
}

/** Draws the cause, the violation, the facts and the cursor. */
export function drawMarks(lanes, cursor) {
  const { g, model, left, right } = lanes;
  const column = (i, colour, text, dash) => {
    if (i < 0) return;
    const x = Math.round(lanes.xOf(i)) + 0.5;
    if (x < left - 1 || x > right) return;
    g.strokeStyle = lanes.colour(colour);
    g.fillStyle = g.strokeStyle;
    g.lineWidth = 1.5;
    g.setLineDash(dash);
    line(g, x, TOP - 6, x, lanes.height);
    g.setLineDash([]);
    if (!text) return;
    const wide = g.measureText(text).width + 10;
    const from = Math.min(x, right - wide);
    g.fillRect(from, TOP - 12, wide, 15);
    g.fillStyle = lanes.colour("--bg");
    g.fillText(text, from + 5, TOP - 4);
  };
  column(cursor, "--fg", "", [2, 2]);
  column(model.cause, "--warn", "cause", [5, 4]);
  column(model.violation, "--bad", "rule broken", []);
  const facts = (model.facts ?? []).map((i, at) => [i, "AB"[at]]).filter(([i]) => i >= 0 && i !== model.violation);
  facts.forEach(([i, name], at) => {
    const x = lanes.xOf(i);
    if (x < left || x > right) return;
    // Both may be about one event.
    const y = lanes.eventY(i) - (facts.findIndex(([other]) => other === i) < at ? 17 : 0);
    g.fillStyle = lanes.colour("--bad");
    g.beginPath();
    g.arc(x, y, 8, 0, 7);
    g.fill();
    g.fillStyle = lanes.colour("--bg");
    g.textAlign = "center";
    g.fillText(name, x, y + 0.5);
    g.textAlign = "left";
  });
  if (cursor === model.violation) return;
  g.strokeStyle = lanes.colour("--fg");
  g.lineWidth = 2;
  g.beginPath();
  g.arc(lanes.xOf(cursor), lanes.eventY(cursor), 5, 0, 7);
  g.stroke();
}
