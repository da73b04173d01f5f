// Below the nodes: what clients asked and were told, and for how long keys were locked.

import { above, firstReaching } from "./model.js";
import { clientName, cross, cycle, diamond } from "./pen.js";

const FILL = { ok: "--good", never: "--follower", unknown: "--warn", open: "--warn" };

/** Puts calls into rows: a client a row, or, if there are many or one does several things at once, whoever comes next. */
export function packCalls(model) {
  const rows = [];
  const home = new Map(); // client -> the row of its call before
  const alone = model.clients.length <= 6;
  for (const client of alone ? model.clients : []) {
    home.set(client, rows.length);
    rows.push({ until: -1, clients: new Set([client]) });
  }
  for (const call of model.calls) {
    const fits = (row) => row.until < call.i && (!alone || row.clients.has(call.client));
    const before = rows[home.get(call.client)];
    let at = before && fits(before) ? home.get(call.client) : rows.findIndex(fits);
    if (at < 0) at = rows.push({ until: -1, clients: new Set() }) - 1;
    rows[at].until = call.end;
    rows[at].clients.add(call.client);
    home.set(call.client, at);
    call.row = at;
  }
  return rows.map(({ clients }) => (clients.size === 1 ? clientName(model, [...clients][0]) : "clients"));
}

/** Draws the calls of a frame. */
export function drawCalls(lanes) {
  const { model } = lanes;
  const { calls } = model;
  const first = firstReaching(calls, lanes.begin);
  const stop = above(calls, lanes.end - 1, (call) => call.i);
  // Words end where the next ones of their row begin.
  const ends = new Map();
  const following = new Map();
  for (let k = stop - 1; k >= first && lanes.chosen; k--) {
    if (!lanes.wanted(calls[k].i) && !lanes.wanted(calls[k].end)) continue;
    ends.set(calls[k], following.get(calls[k].row) ?? Infinity);
    following.set(calls[k].row, lanes.xOf(calls[k].i));
  }
  // One a pixel is enough from afar.
  const drawn = new Map();
  for (let k = first; k < stop; k++) {
    const call = calls[k];
    const x = lanes.xOf(call.i);
    const x2 = lanes.xOf(call.end);
    if (x2 < lanes.left || (!call.blamed && x2 <= (drawn.get(call.row) ?? -9) + 0.5)) continue;
    drawn.set(call.row, Math.max(x2, x + 3));
    drawCall(lanes, call, [x, x2], ends.get(call) ?? x2);
  }
}

// `ends`: how far its words may go.
function drawCall(lanes, call, [x, x2], ends) {
  const { g, model, left, labels } = lanes;
  const row = lanes.callRows[call.row];
  const y = row.y + 3;
  const wide = Math.max(3, x2 - x);
  const seen = lanes.wanted(call.i) || lanes.wanted(call.end);
  g.fillStyle = lanes.colour(FILL[call.how]);
  g.globalAlpha = seen ? (call.how === "ok" ? 0.35 : 0.45) : 0.1;
  g.fillRect(x, y, wide - 1, 14);
  g.globalAlpha = seen ? 1 : 0.2;
  if (call.how === "unknown" || call.how === "open") {
    g.strokeStyle = lanes.colour("--warn");
    g.lineWidth = 1;
    g.setLineDash([3, 3]);
    g.strokeRect(x + 0.5, y + 0.5, wide - 2, 13);
    g.setLineDash([]);
  }
  g.globalAlpha = 1;
  if (call.blamed) {
    g.strokeStyle = lanes.colour("--bad");
    g.lineWidth = 2;
    g.strokeRect(x - 1, y - 1, wide + 2, 16);
  }
  if (!seen || (wide <= 24 && !call.blamed && !lanes.chosen)) return;
  g.fillStyle = lanes.colour("--fg");
  const who = row.shared ? `${clientName(model, call.client)}: ` : "";
  const whom = model.nodes.length > 1 && call.n ? ` at n${call.n}` : "";
  const end = { ok: ` \u2192 ${call.result}`, never: ` \u2717 ${call.result}`, unknown: " \u2192 ?", open: " \u2026" }[call.how];
  const from = Math.max(x, left) + 3;
  const room = call.blamed ? Math.max(260, x2 - from) : Math.min(ends - from - 3, Math.max(300, x2 - from));
  labels.put(`${who}${call.text}${whom}${end}`, from, y + 7.5, room, { bare: true });
}

/** Draws the locks and records of a frame. */
export function drawKeys(lanes) {
  const { g, model, left, right, labels } = lanes;
  const { spans, marks } = model;
  for (let k = firstReaching(spans, lanes.begin); k < spans.length && spans[k].i < lanes.end; k++) {
    const span = spans[k];
    const row = lanes.rowOf.get(`key${span.key}`);
    const [x, x2] = [lanes.xOf(span.i), lanes.xOf(span.end)];
    if (!row || x2 < left) continue;
    const seen = lanes.wanted(span.i) || lanes.wanted(span.end);
    g.fillStyle = lanes.colour(cycle(span.txn));
    g.globalAlpha = seen ? 0.75 : 0.15;
    g.fillRect(x, row.y + 4, Math.max(3, x2 - x), 16);
    g.globalAlpha = 1;
    if (!seen) continue;
    g.fillStyle = lanes.colour("--fg");
    const primary = span.primary === span.key ? "primary lock" : `lock, primary ${span.primary}`;
    const from = Math.max(x, left) + 4;
    labels.put(`txn ${span.txn}: ${primary}`, from, row.y + 12.5, x2 - from - 2, { bare: true });
  }
  for (let k = above(marks, lanes.begin - 1, (mark) => mark.i); k < marks.length && marks[k].i < lanes.end; k++) {
    const mark = marks[k];
    const row = lanes.rowOf.get(`key${mark.key}`);
    const x = lanes.xOf(mark.i);
    if (!row || x < left || x > right) continue;
    const y = row.y + 12;
    const back = mark.kind === "Rollback";
    g.globalAlpha = lanes.wanted(mark.i) ? 1 : 0.2;
    g.strokeStyle = lanes.colour(back ? "--bad" : "--good");
    g.fillStyle = g.strokeStyle;
    g.lineWidth = 2;
    if (back) cross(g, x, y, 5);
    else diamond(g, x, y, 6);
    g.globalAlpha = 1;
    if (!lanes.wanted(mark.i)) continue;
    const text = back ? `txn ${mark.txn} rolled back` : `txn ${mark.txn} committed @${mark.commit}`;
    labels.put(text, x + 9, y, 150);
  }
}
