// A node's lane: a bar a region in the colour of its role, what changed in its log, when it was down, and its syncs.

import { above, atEvent, changeOf, moment } from "./model.js";
import { ROLE, cross, line } from "./pen.js";

/** The height of a peer's bar. */
export const BAR = 11;

const STATES = 1500; // more changes of a peer than this in a frame, and only each second pixel is looked at
const NOTES = 80; // more changes than this, and they are not put in words

/** Draws the lane of a node. */
export function drawNode(lanes, row) {
  const { g, model, left, right } = lanes;
  g.strokeStyle = lanes.colour("--line");
  g.lineWidth = 1;
  g.globalAlpha = 0.6;
  line(g, left, row.y + row.height - 0.5, right, row.y + row.height - 0.5);
  g.globalAlpha = 1;
  if (row.regions.length === 0) {
    g.fillStyle = lanes.colour("--follower");
    g.fillRect(left, lanes.barY(row.n, 0) - 1, right - left, 2);
  }
  drawLives(lanes, row);
  for (const region of row.regions) drawPeer(lanes, row, region);
  drawTicks(lanes, row, model.syncs, "--dim", 4);
  drawTicks(lanes, row, model.others, "--other", 7);
}

const sameLook = (a, b) => a.role === b.role && a.term === b.term && a.down === b.down && a.starting === b.starting && a.gone === b.gone;

function drawPeer(lanes, row, region) {
  const { g, model, left, right, labels } = lanes;
  const states = model.states.get(`${row.n}/${region}`);
  const y = lanes.barY(row.n, region);
  let k = Math.max(0, above(states, lanes.begin, (s) => s.i) - 1);
  const count = above(states, lanes.end, (s) => s.i) - k;
  if (count > STATES) {
    drawFromAfar(lanes, states, y);
    return;
  }
  const many = row.regions.length > 1;
  let until = -Infinity;
  for (; k < states.length && states[k].i < lanes.end; k++) {
    const state = states[k];
    let next = k + 1;
    while (next < states.length && sameLook(states[next], state)) next++;
    const stop = next < states.length ? states[next].i : model.count - 1;
    const x = Math.max(lanes.xOf(state.i), left - 2);
    const x2 = Math.min(lanes.xOf(stop), right);
    if (!state.gone && x2 > until) {
      g.fillStyle = lanes.colour(state.down ? "--down" : ROLE[state.role]);
      const thin = state.starting ? 4.5 : state.role === "Follower" && !state.down ? 3 : 0;
      g.fillRect(x, y - BAR / 2 + thin, Math.max(1, x2 - x), BAR - 2 * thin);
      until = Math.max(x2, x + 1);
      if (state.role === "Leader" && !state.down) {
        g.fillStyle = "#ffffff";
        const name = many ? `leads r${region} in term ${state.term}` : `leader of term ${state.term}`;
        labels.put(name, Math.max(x, left) + 4, y + 0.5, x2 - x - 8, { bare: true });
      } else if (!state.down && x2 - x > 14 && (states[k - 1]?.term !== state.term || x <= left)) {
        g.fillStyle = lanes.colour("--dim");
        const role = `${state.role === "Follower" ? "term" : "campaigns in term"} ${state.term}`;
        const born = k === 0 && x > left ? changeOf(model, states, k, many) : null;
        labels.put(born ? `${born.text}, ${role}` : role, Math.max(x, left) + 3, y + BAR, Math.max(x2 - x, 190));
      }
    }
    k = next - 1;
  }
  if (count <= NOTES) drawNotes(lanes, row, states, y);
}

// What changed, in words, below the bar. What was lost comes first, since there is not always room.
const WEIGHT = { "--bad": 0, "--good": 1, "--vote": 2, "--fg": 3 };

function drawNotes(lanes, row, states, y) {
  const { g, model, left, labels } = lanes;
  const notes = [];
  for (let k = Math.max(1, above(states, lanes.begin - 1, (s) => s.i)); k < states.length && states[k].i < lanes.end; k++) {
    const x = lanes.xOf(states[k].i);
    if (x < left || !lanes.wanted(states[k].i)) continue;
    const note = changeOf(model, states, k, row.regions.length > 1);
    if (note) notes.push({ ...note, x });
  }
  notes.sort((a, b) => WEIGHT[a.colour] - WEIGHT[b.colour] || a.x - b.x);
  for (const { text, colour, x } of notes) {
    g.fillStyle = lanes.colour(colour);
    // There is a second line where lanes are high enough.
    const lines = row.roomy ? [BAR, 2 * BAR] : [BAR];
    const below = lines.find((at) => labels.put(text, x + 3, y + at, 190));
    if (below) g.fillRect(x, y + BAR / 2 - 2, 1.5, below - 3);
  }
}

function drawFromAfar(lanes, states, y) {
  const { g } = lanes;
  for (let x = lanes.left; x < lanes.right; x += 2) {
    const state = atEvent(states, lanes.eventFrom(lanes.placeAt(x + 2)));
    if (!state || state.gone) continue;
    g.fillStyle = lanes.colour(state.down ? "--down" : ROLE[state.role]);
    const thin = state.role === "Follower" && !state.down ? 3 : 0;
    g.fillRect(x, y - BAR / 2 + thin, 2, BAR - 2 * thin);
  }
}

function drawLives(lanes, row) {
  const { g, model, left, right, labels } = lanes;
  const lives = model.lives.get(row.n) ?? [];
  for (let k = 0; k < lives.length; k++) {
    const life = lives[k];
    const x = lanes.xOf(life.i);
    const x2 = k + 1 < lives.length ? lanes.xOf(lives[k + 1].i) : lanes.x(lanes.last);
    if (x2 < left || x > right) continue;
    const y = row.y + row.height - 8;
    if (life.up) {
      g.fillStyle = lanes.colour("--good");
      if (k > 0 && x >= left) labels.put("starts, and reads its disk", x + 3, y, 170);
      continue;
    }
    const from = Math.max(x, left);
    g.fillStyle = lanes.colour("--down");
    g.globalAlpha = 0.22;
    g.fillRect(from, row.y + 2, Math.max(2, x2 - from), row.height - 4);
    g.globalAlpha = 1;
    const bar = lanes.barY(row.n, row.regions[0]);
    g.strokeStyle = lanes.colour("--bad");
    g.lineWidth = 2;
    if (x >= left) cross(g, x, bar, 5);
    g.fillStyle = lanes.colour("--bad");
    labels.put(crash(lanes, row.n, life), from + 8, y, Math.max(230, x2 - from));
  }
}

// What a power cut takes is what was written after the last sync.
function crash({ model }, n, life) {
  if (life.how !== "power cut") return life.how === "kill" ? "crash: killed" : life.how;
  const syncs = model.syncs.get(n) ?? [];
  const last = syncs[above(syncs, life.i) - 1];
  if (last === undefined) return "power cut, nothing was synced";
  const { file } = model.lines[last];
  return `power cut, last sync at ${moment(model, model.time[last])}${file === "whole" ? "" : ` (${file})`}`;
}

function drawTicks(lanes, row, of, colour, size) {
  const { g } = lanes;
  const events = of.get(row.n);
  if (!events) return;
  const y = row.y + row.height - 2;
  g.strokeStyle = lanes.colour(colour);
  g.lineWidth = 1;
  let last = -9;
  g.beginPath();
  const [first, stop] = [above(events, lanes.begin - 1), above(events, lanes.end - 1)];
  const by = Math.max(1, Math.floor((stop - first) / STATES));
  for (let k = first; k < stop; k += by) {
    const x = Math.round(lanes.xOf(events[k])) + 0.5;
    if (x - last < 1) continue;
    g.moveTo(x, y);
    g.lineTo(x, y - size);
    last = x;
  }
  g.stroke();
}
