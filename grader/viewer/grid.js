// The logs at the cursor: a row a peer, a column an index, in each cell the entry's term. What a leader has and its
// follower has not, or has otherwise, is what Raft is about; so it is framed.

import { atEvent, peersAt, termAt } from "./model.js";
import { SHORT, cycle } from "./pen.js";

const COLUMNS = 16;

/** The regions that there were so far. */
export function regionsAt(model, i) {
  const regions = new Set();
  for (const [key, states] of model.states) {
    if (atEvent(states, i)) regions.add(Number(key.split("/")[1]));
  }
  return [...regions].sort((a, b) => a - b);
}

/** Writes the table of a region's logs at event `i` into `table`. */
export function drawGrid(table, model, region, i, selected) {
  const peers = peersAt(model, region, i);
  table.replaceChildren();
  if (peers.length === 0 && model.keys.length > 0) {
    drawLocks(table, model, i);
    return;
  }
  if (peers.length === 0) {
    table.append(element("caption", {}, "No peer has shown its log yet."));
    return;
  }
  const up = peers.filter(([, state]) => !state.down);
  const leaders = up.filter(([, state]) => state.role === "Leader").sort((a, b) => b[1].term - a[1].term);
  const leader = leaders[0];
  const last = Math.max(...peers.map(([, state]) => state.last), 1);
  // What is in everybody's snapshot needs one column, not many.
  const forgotten = Math.min(...peers.map(([, state]) => state.truncated[0]));
  const first = Math.max(1, forgotten, last - COLUMNS + 1);
  const head = element("tr", {}, element("th", {}, "index"));
  if (first > 1) head.append(element("th", { className: "more" }, "\u2026"));
  for (let index = first; index <= last; index++) head.append(element("th", {}, String(index)));
  head.append(element("th", { className: "told" }, "commit\u2009/\u2009applied\u2009/\u2009durable"));
  table.append(element("thead", {}, head));
  const body = element("tbody", {});
  for (const [n, state] of peers) {
    const row = element("tr", { className: `${n === selected ? "picked" : ""}${state.down ? " before" : ""}` });
    row.dataset.node = n;
    const role = state.starting ? "starting" : state.down ? "down" : SHORT[state.role];
    const star = leader?.[0] === n ? "\u2605 " : "";
    row.append(element("th", { scope: "row" }, `${star}n${n}@${state.term} ${role}`));
    if (first > 1) row.append(element("td", { className: "more" }, state.truncated[0] >= first ? "" : "\u2026"));
    for (let index = first; index <= last; index++) row.append(cell(state, index, leader?.[1]));
    const known = `${state.commit}\u2009/\u2009${state.applied}\u2009/\u2009${state.persisted}`;
    const told = state.down ? "before the crash; what is on its disk, it has not said" : known;
    row.append(element("td", { className: "told" }, told));
    body.append(row);
  }
  table.append(body);
}

// A store with transactions has no log to show: what is locked, and what was committed where.
function drawLocks(table, model, i) {
  const head = ["key", "lock", "records, the newest first"].map((text) => element("th", {}, text));
  table.append(element("thead", {}, element("tr", {}, ...head)));
  const body = element("tbody", {});
  for (const key of model.keys) {
    const lock = model.spans.findLast((span) => span.key === key && span.i <= i && (span.end > i || span.end === model.count - 1));
    const records = model.marks.filter((mark) => mark.key === key && mark.i <= i).slice(-2).reverse();
    const held = element("td", { className: "told" }, lock ? `txn ${lock.txn}, primary ${lock.primary}` : "\u2013");
    if (lock) Object.assign(held.style, { background: `var(${cycle(lock.txn)})`, color: "var(--fg)" });
    const told = records.map((mark) => (mark.kind === "Rollback" ? `txn ${mark.txn} rolled back` : `@${mark.commit} ${mark.kind} of txn ${mark.txn}`));
    body.append(element("tr", {}, element("th", { scope: "row" }, key), held, element("td", { className: "told" }, told.join(", "))));
  }
  table.append(body);
}

function cell(state, index, leader) {
  const term = termAt(state, index);
  const td = element("td", {});
  if (index <= state.truncated[0]) {
    td.className = "snap";
    td.title = `entry ${index} is in a snapshot`;
    return td;
  }
  const wanted = leader && leader !== state ? termAt(leader, index) : term;
  const other = leader && leader !== state && index > leader.truncated[0] && wanted !== term;
  const classes = [];
  if (term > 0) {
    td.textContent = term;
    td.style.background = `var(${cycle(term)})`;
    if (index <= state.commit) classes.push("committed");
    if (index <= state.applied) classes.push("applied");
    if (index > state.persisted) classes.push("volatile");
  }
  if (other) classes.push(term === 0 ? "lacks" : "differs");
  td.className = classes.join(" ");
  const what = [];
  if (term > 0) what.push(`entry ${index}@${term}`, index <= state.commit ? "committed" : "not committed", index <= state.applied ? "applied" : "not applied",
    index <= state.persisted ? "durable" : "not durable yet");
  if (other) what.push(term === 0 ? "the leader has it" : "not what the leader has");
  td.title = what.join(", ");
  return td;
}

/** A node's peers at event `i`, a line each, in the compact notation. */
export function stateLines(model, n, i) {
  const lines = [];
  for (const region of model.regionsOf.get(n) ?? []) {
    const state = atEvent(model.states.get(`${n}/${region}`), i);
    if (state) lines.push({ text: model.text[state.line], at: state.line });
  }
  return lines;
}

/** An element with properties and children. */
export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
