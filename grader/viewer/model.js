// What a trace says, made ready for drawing. One pass over the lines; afterwards every question that a frame asks
// (who led when, which arrows are here, what did the log look like) is a binary search in a sorted array of event
// numbers. An *event number* is a line's place in the trace, and the coin of this whole page.

/** The first place in a sorted array whose item is greater than `x`. */
export function above(sorted, x, of = (v) => v) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of(sorted[middle]) > x) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The last item of an array sorted by `i` that is not after event `i`. */
export function atEvent(list, i) {
  return list?.[above(list, i, (item) => item.i) - 1];
}

/**
 * The first of a list of spans, sorted by `i`, that may reach event `i` or what follows: none before it does. `reaches` has
 * made the list ready for that.
 */
export function firstReaching(list, i) {
  return above(list.reach, i - 1);
}

function reaches(list) {
  let far = -1;
  list.reach = Int32Array.from(list, (span) => (far = Math.max(far, span.end)));
}

/** What family a message belongs to: it gives the arrow its colour. */
export function family(kind) {
  if (/vote|timeoutnow|transfer/i.test(kind)) return "vote";
  if (/snap|chunk|^part$/i.test(kind)) return "snapshot";
  if (/beat/i.test(kind)) return "beat";
  if (/append/i.test(kind)) return "append";
  return "other";
}

// A log is kept as runs [first index, term]: terms never fall along a log, so there are few.
function changedLog(runs, kept, added) {
  const next = runs.filter(([first]) => first <= kept).map((run) => [...run]);
  for (const [index, term] of added) {
    if (next.length === 0 || next[next.length - 1][1] !== term) next.push([index, term]);
  }
  return next;
}

/** The term of an entry in a log of runs that ends at `last`; 0: it has none. */
export function termAt(state, index) {
  if (!state || index > state.last || index <= state.truncated[0]) return 0;
  return state.runs[above(state.runs, index, (run) => run[0]) - 1]?.[1] ?? 0;
}

const pushTo = (map, key, item) => {
  const list = map.get(key);
  if (list) list.push(item);
  else map.set(key, [item]);
};

/** Reads the data that the page was made with. */
export function readTrace(data) {
  const lines = data.lines;
  const model = {
    ...data,
    count: lines.length,
    clock: lines[0]?.clock ?? "ms",
    time: new Float64Array(lines.length),
    nodes: [],
    clients: [],
    familyOf: new Map(), // message -> its family
    txns: new Set(), // clients that are transactions
    keys: [],
    names: {}, // of nodes that are no stores
    regionsOf: new Map(), // node -> region ids, in the order of their birth
    states: new Map(), // "node/region" -> states, in the order of events
    lives: new Map(), // node -> {i, up, how}
    arrows: [], // by the event that sends
    ends: [], // the same arrows, by the event that ends them
    calls: [],
    callAt: new Map(), // event -> the call that it begins or ends
    faults: [],
    spans: [], // what a key was locked for
    marks: [], // records: commits and rollbacks
    syncs: new Map(), // node -> events
    others: new Map(), // node -> events that are told as points
    phases: [],
    stores: new Map(), // "region/peer" -> the node that it is on
    violation: -1,
    jumps: { election: [], fault: [], snapshot: [], birth: [] },
    node: new Int32Array(lines.length), // whom an event happens to; 0: nobody
    region: new Float64Array(lines.length),
  };
  const open = { calls: new Map(), faults: new Map(), locks: new Map() };
  const sent = new Map();
  const nodes = new Set();
  const clients = new Set();
  const keys = new Set();
  lines.forEach((line, i) => {
    model.time[i] = line.t;
    if (line.n !== undefined) {
      nodes.add(line.n);
      model.node[i] = line.n;
    }
    if (line.region) model.region[i] = line.region;
    readers[line.k]?.(line, i, model, { open, sent, nodes, clients, keys });
  });
  const end = Math.max(0, lines.length - 1);
  for (const call of open.calls.values()) call.end = end;
  for (const fault of open.faults.values()) fault.end = end;
  for (const lock of open.locks.values()) lock.end = end;
  const byNumber = (a, b) => a - b;
  model.nodes = [...nodes].sort(byNumber);
  model.clients = [...clients].sort(byNumber);
  model.keys = [...keys].sort();
  model.ends = model.arrows.filter((arrow) => arrow.end >= 0).sort((a, b) => a.end - b.end);
  [model.calls, model.faults, model.spans].forEach(reaches);
  const blamed = new Set(lines[model.violation]?.ops ?? []);
  for (const call of model.calls) call.blamed = blamed.has(call.op);
  return model;
}

function addRegion(model, n, region) {
  const regions = model.regionsOf.get(n) ?? [];
  if (!regions.includes(region)) regions.push(region);
  model.regionsOf.set(n, regions);
}

// Of the nodes that a fault strikes, who can still talk to whom: node -> the number of its side.
function sidesOf(nodes, cuts) {
  const cut = new Set(cuts.map(([from, to]) => `${from} ${to}`));
  const sides = new Map();
  for (const n of nodes) {
    const friend = [...sides.keys()].find((m) => !cut.has(`${n} ${m}`) && !cut.has(`${m} ${n}`));
    sides.set(n, friend === undefined ? new Set(sides.values()).size : sides.get(friend));
  }
  return sides;
}

const readers = {
  start(line, i, model, { nodes, clients }) {
    line.nodes.forEach((n) => nodes.add(n));
    line.clients.forEach((c) => clients.add(c));
  },
  open(line, i, model) {
    pushTo(model.lives, line.n, { i, up: true });
    // It reads its disk now, and says nothing of itself yet.
    for (const [key, list] of model.states) {
      if (key.startsWith(`${line.n}/`)) list.push({ ...list[list.length - 1], i, down: true, starting: true, line: i });
    }
  },
  crash(line, i, model) {
    pushTo(model.lives, line.n, { i, up: false, how: line.how });
    for (const [key, list] of model.states) {
      if (key.startsWith(`${line.n}/`)) list.push({ ...list[list.length - 1], i, down: true, starting: false, line: i });
    }
    model.jumps.fault.push(i);
  },
  stop(line, i, model, all) {
    readers.crash({ n: line.n, how: line.why }, i, model, all);
  },
  send(line, i, model, { sent, nodes }) {
    nodes.add(line.to);
    if (line.ch === "Scheduler") model.names[line.to] = line.kind.toLowerCase();
    if (line.ch === "Client" && !line.text?.startsWith("answer")) model.names[line.n] = `door n${line.n}`;
    const kind = family(line.kind);
    const arrow = { i, end: -1, from: line.n, to: line.to, kind: line.kind, family: kind, text: line.text ?? "",
      region: line.region, why: "", twice: false };
    sent.set(line.id, arrow);
    model.familyOf.set(line.id, kind);
    model.arrows.push(arrow);
    if (kind === "snapshot" && line.kind !== "SnapStatus") model.jumps.snapshot.push(i);
  },
  duplicate(line, i, model, { sent }) {
    const arrow = sent.get(line.id);
    if (arrow) arrow.twice = true;
  },
  deliver(line, i, model, { sent }) {
    let arrow = sent.get(line.id);
    if (!arrow) return;
    if (arrow.end >= 0) {
      arrow = { ...arrow, twice: true };
      model.arrows.push(arrow);
    }
    arrow.end = i;
    model.region[i] = arrow.region;
  },
  drop(line, i, model, { sent }) {
    const arrow = sent.get(line.id);
    if (!arrow || arrow.end >= 0) return;
    arrow.end = i;
    arrow.why = line.why;
    model.node[i] = arrow.to;
    model.region[i] = arrow.region;
  },
  sync(line, i, model) {
    pushTo(model.syncs, line.n, i);
  },
  disk_error(line, i, model) {
    model.jumps.fault.push(i);
    pushTo(model.others, line.n, i);
  },
  exchange(line, i, model) {
    pushTo(model.others, line.n, i);
  },
  state(line, i, model) {
    addRegion(model, line.n, line.region);
    const key = `${line.n}/${line.region}`;
    const list = model.states.get(key);
    const before = list?.[list.length - 1];
    if (!before && model.regionsOf.get(line.n).length > 1) model.jumps.birth.push(i);
    model.stores.set(`${line.region}/${line.peer}`, line.n);
    const runs = changedLog(before?.runs ?? [], line.kept, line.log ?? []);
    if (line.truncated[0] > (before?.truncated[0] ?? 0) && line.role && before?.persisted < line.truncated[0]) {
      model.jumps.snapshot.push(i);
    }
    if (line.role === "Leader" && (before?.role !== "Leader" || before.term !== line.term)) model.jumps.election.push(i);
    pushTo(model.states, key, { ...line, i, runs, line: i });
  },
  gone(line, i, model) {
    const key = `${line.n}/${line.region}`;
    const list = model.states.get(key);
    if (list) list.push({ ...list[list.length - 1], i, gone: true, line: i });
  },
  call(line, i, model, { open, clients }) {
    clients.add(line.client);
    if (line.txn !== undefined) model.txns.add(line.client);
    const call = { i, end: -1, how: "open", result: "", ...line };
    open.calls.set(line.op, call);
    model.calls.push(call);
    model.callAt.set(i, call);
  },
  return(line, i, model, { open }) {
    const call = open.calls.get(line.op);
    if (!call) return;
    Object.assign(call, { end: i, how: line.how, result: line.text });
    model.node[i] = call.n;
    model.callAt.set(i, call);
    open.calls.delete(line.op);
  },
  fault(line, i, model, { open }) {
    const fault = { i, end: -1, text: line.text, nodes: line.nodes, sides: sidesOf(line.nodes, line.cuts ?? []) };
    open.faults.set(line.fault, fault);
    model.faults.push(fault);
    model.node[i] = line.nodes[0] ?? 0;
    model.jumps.fault.push(i);
  },
  heal(line, i, model, { open }) {
    const fault = open.faults.get(line.fault);
    if (fault) fault.end = i;
    open.faults.delete(line.fault);
  },
  phase(line, i, model) {
    model.phases.push({ i, name: line.name });
  },
  lock(line, i, model, { open, keys }) {
    keys.add(line.key);
    const lock = { end: -1, ...line, i };
    open.locks.set(line.key, lock);
    model.spans.push(lock);
  },
  unlock(line, i, model, { open }) {
    const lock = open.locks.get(line.key);
    if (lock) lock.end = i;
    open.locks.delete(line.key);
  },
  record(line, i, model, { keys }) {
    keys.add(line.key);
    model.marks.push({ ...line, i });
  },
  violation(line, i, model) {
    model.violation = i;
  },
};

/** A moment, as failure texts name it. */
export function moment(model, t) {
  if (model.clock === "tick") return `tick ${(t / 100000).toFixed(2)}`;
  if (model.clock === "step") return `step ${Math.round(t / 1000)}`;
  return `${Number((t / 1000).toFixed(3))} ms`;
}

const through = (first, last) => (first === last ? `${first}` : `${first}..${last}`);
// A key of a range, without the padding of its encoding.
const bound = (key, none) => key.replaceAll('"', "").replace(/(\\x00)*\\xf[0-9a-f]$/, "") || none;
const bounds = (range) => `[${bound(range[0], "start")}, ${bound(range[1], "end")})`;

/** What a peer's state `k` says that the one before did not: words, and the colour of the gravest of them; null: nothing. */
export function changeOf(model, states, k, many) {
  const [state, before] = [states[k], states[k - 1]];
  const r = many ? `r${state.region} ` : "";
  if (state.gone) return { text: `r${state.region} is removed`, colour: "--bad" };
  if (state.down) return null;
  if (!before) {
    const range = state.range ? ` ${bounds(state.range)}` : "";
    return many ? { text: `r${state.region} is born${range}`, colour: "--fg" } : null;
  }
  const words = [];
  const colours = [];
  const say = (text, colour) => {
    words.push(text);
    colours.push(colour);
  };
  const how = before.down ? "lost" : "drops";
  const last = state.kept ?? before.last;
  const came = state.truncated[0] > before.truncated[0] && before.persisted < state.truncated[0];
  if (came) say(`has a snapshot up to ${state.truncated[0]}`, "--fg");
  else if (last < before.last) {
    const place = `${through(last + 1, before.last)}@${termAt(before, before.last)}`;
    say(`${how} ${place}`, "--bad");
  }
  if (state.term < before.term) say(`forgot term ${before.term}`, "--bad");
  const { vote, peer, term } = state;
  if (vote > 0 && vote !== peer && (vote !== before.vote || term !== before.term)) {
    say(`votes for n${model.stores.get(`${state.region}/${vote}`) ?? vote}`, "--vote");
  }
  const added = state.log ?? [];
  if (added.length > 0 && !came) {
    const [first, end] = [added[0], added[added.length - 1]];
    say(`+${through(first[0], end[0])}@${end[1]}`, "--fg");
  }
  if (state.commit > before.commit) say(`commits ${through(before.commit + 1, state.commit)}`, "--good");
  if (state.range && before.range && String(state.range) !== String(before.range)) say(`is now ${bounds(state.range)}`, "--fg");
  if (before.voters?.length > 0 && String(state.voters) !== String(before.voters)) {
    say(`voters: ${state.voters.map((n) => `n${n}`).join(" ") || "none"}`, "--fg");
  }
  if (words.length === 0) return null;
  const colour = ["--bad", "--good", "--vote", "--fg"].find((one) => colours.includes(one));
  return { text: r + words.join(", "), colour };
}

/** All peers of a region at an event: [node, state]. */
export function peersAt(model, region, i) {
  const peers = [];
  for (const n of model.nodes) {
    const state = atEvent(model.states.get(`${n}/${region}`), i);
    if (state && !state.gone) peers.push([n, state]);
  }
  return peers;
}
