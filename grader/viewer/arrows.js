// Messages as arrows, from when they leave to when they arrive; where there are too many to tell apart, how much each node
// heard.

import { above, atEvent } from "./model.js";
import { arrowHead, cross, line } from "./pen.js";
import { BAR } from "./peers.js";

const ARROWS = 2000; // more arrows than this in a frame are only counted
const NAMED = 160; // more than this, and none is put in words
const RANK = { vote: 0, snapshot: 1, other: 2, append: 3, beat: 4 }; // labels go to the rarest first

/** Draws the messages of a frame. */
export function drawArrows(lanes) {
  const { model, begin, end } = lanes;
  const sent = above(model.arrows, begin - 1, (a) => a.i);
  const arrived = above(model.ends, begin - 1, (a) => a.end);
  const stop = above(model.arrows, end - 1, (a) => a.i);
  if (stop - sent > ARROWS) {
    drawDensity(lanes, sent, stop);
    return;
  }
  const frame = new Set();
  for (let k = sent; k < stop; k++) frame.add(model.arrows[k]);
  for (let k = arrived; k < model.ends.length && model.ends[k].end < end; k++) frame.add(model.ends[k]);
  const shown = [...frame].filter((arrow) => !lanes.hidden.has(arrow.family));
  shown.sort((a, b) => RANK[a.family] - RANK[b.family] || a.i - b.i);
  for (const arrow of shown) drawArrow(lanes, arrow);
  const named = shown.filter((arrow) => lanes.wanted(arrow.i) || lanes.wanted(arrow.end));
  if (named.length > NAMED) return;
  for (const arrow of named) {
    if (arrow.family === "beat" && !arrow.why && named.length > 40) continue;
    nameArrow(lanes, arrow);
  }
}

function shape(lanes, arrow) {
  const [y, y2] = [lanes.barY(arrow.from, arrow.region), lanes.barY(arrow.to, arrow.region)];
  const x = lanes.xOf(arrow.i);
  let x2 = arrow.end >= 0 ? lanes.xOf(arrow.end) : x;
  const [lost, open] = [arrow.why !== "", arrow.end < 0];
  if (open || (lost && x2 - x < 14)) x2 = x + 16;
  const toward = y2 > y ? 1 : -1;
  return { x, y: y + toward * (BAR / 2), x2, y2: y2 - toward * (BAR / 2), lost, open, nowhere: y < 0 || y2 < 0 };
}

function drawArrow(lanes, arrow) {
  const { g } = lanes;
  let { x, y, x2, y2, lost, open, nowhere } = shape(lanes, arrow);
  if (nowhere) return;
  g.strokeStyle = lanes.colour(`--${arrow.family}`);
  g.fillStyle = g.strokeStyle;
  g.lineWidth = arrow.family === "beat" ? 0.8 : 1.4;
  g.globalAlpha = lanes.wanted(arrow.i) || lanes.wanted(arrow.end) ? (arrow.family === "beat" ? 0.7 : 1) : 0.12;
  if (lost || open) {
    // What does not arrive ends on the way.
    [x2, y2] = [x + (x2 - x) * 0.55, y + (y2 - y) * 0.55];
    g.setLineDash([4, 3]);
  }
  line(g, x, y, x2, y2);
  g.setLineDash([]);
  if (lost) {
    g.strokeStyle = lanes.colour("--bad");
    g.lineWidth = 1.6;
    cross(g, x2, y2, 3.5);
  } else if (!open) {
    arrowHead(g, x, y, x2, y2, arrow.family === "beat" ? 4 : 6);
  }
  g.globalAlpha = 1;
}

// An append of its sender's own term need not say so: there is little room, and the sender's lane tells. A vote does.
function words({ model }, { i, from, region, family, text }) {
  const term = family !== "vote" && atEvent(model.states.get(`${from}/${region}`), i)?.term;
  return text.startsWith(`term=${term} `) ? text.slice(text.indexOf(" ") + 1) : text;
}

function nameArrow(lanes, arrow) {
  const { g, left, right, labels } = lanes;
  const { x, y, x2, y2, lost, nowhere } = shape(lanes, arrow);
  if (nowhere) return;
  g.fillStyle = lanes.colour(lost ? "--bad" : `--${arrow.family}`);
  const text = `${arrow.kind} ${words(lanes, arrow)}`.trim() + (lost ? ` \u2717 ${arrow.why}` : "") + (arrow.twice ? " (twice)" : "");
  // In its middle, or nearer to one of its ends, where there is room.
  for (const part of lost ? [0.3, 0.1] : [0.5, 0.3, 0.72]) {
    const at = x + (x2 - x) * part + 5;
    if (at > left && at < right - 30 && labels.put(text, at, y + (y2 - y) * part, Math.min(210, right - at))) return;
  }
}

function drawDensity(lanes, first, stop) {
  const { g, model, left, right } = lanes;
  const columns = Math.ceil((right - left) / 4);
  const heard = new Map(model.nodes.map((n) => [n, new Uint32Array(columns + 1)]));
  const by = Math.max(1, Math.floor((stop - first) / 10000));
  let most = 1;
  for (let k = first; k < stop; k += by) {
    const arrow = model.arrows[k];
    if (lanes.hidden.has(arrow.family)) continue;
    const at = Math.floor((lanes.xOf(arrow.i) - left) / 4);
    if (at >= 0 && at <= columns) most = Math.max(most, ++heard.get(arrow.to)[at]);
  }
  g.fillStyle = lanes.colour("--beat");
  g.globalAlpha = 0.45;
  for (const row of lanes.rows) {
    if (row.what !== "node") continue;
    const base = row.y + row.height - 3;
    heard.get(row.n).forEach((count, at) => {
      const tall = (count / most) * (row.height - BAR - 12);
      if (count > 0) g.fillRect(left + at * 4, base - tall, 3, tall);
    });
  }
  g.globalAlpha = 1;
}
