// Takes views from the server, and draws them.
import { actions, controls } from './control.js';
import { charts, sample } from './charts.js';
import { compare } from './events.js';
import { el, keyed, meet, number, text } from './dom.js';
import { operators } from './operators.js';
import { rates, together } from './rates.js';
import { condition, stores } from './stores.js';
import { details, strip } from './strip.js';

const EVENTS = 200; // older ones are forgotten
const by = (id) => document.getElementById(id);
const token = document.querySelector('meta[name="token"]').content;
const control = token ? controls(token, by('bar'), by('command'), by('result')) : null;
const happened = [];
let before = null;
let selected = null;
let last = null;

if (control) by('play').hidden = false;

function choose(id) {
  selected = selected === id ? null : id;
  draw(last, new Map());
}

function draw(view, pace) {
  strip(by('strip'), view, selected, choose);
  details(by('region'), view.regions.find((region) => region.id === selected), view, control);
  if (pace.size || !last.paced) stores(by('stores'), view, pace, control);
  if (control) actions(by('actions'), view, control);
  operators(by('running'), by('ended'), view);
}

function take(view) {
  meet(view.stores);
  // Taken first: a view that cannot be drawn must not hold up the next.
  const earlier = before;
  before = view;
  const pace = rates(earlier, view);
  if (earlier) note(view, compare(earlier, view));
  last = view;
  last.paced = pace.size > 0;
  const [reads, writes] = [together(pace, 'reads'), together(pace, 'writes')];
  const sum = (field) => view.stores.reduce((all, store) => all + (store.numbers ? store.numbers[field] : 0), 0);
  const seconds = earlier ? (view.at_ms - earlier.at_ms) / 1000 : 0;
  const tso = earlier && view.tso !== null && view.tso >= earlier.tso ? (view.tso - earlier.tso) / seconds : null;
  sample({ at: view.at_ms, reads: reads.rate, reads50: reads.p50, reads99: reads.p99, writes: writes.rate, writes50: writes.p50, writes99: writes.p99,
    tso, lag: sum('lag'), locks: sum('old_locks') });
  draw(view, pace);
  charts(by('charts'));
  where(view.from === 'playground' ? `a playground, cluster ${view.cluster}` : `as the ${view.from} sees it${view.cluster ? `, cluster ${view.cluster}` : ''}`, false);
  const alive = view.stores.filter((store) => condition(store) === 'alive').length;
  totals({ regions: number(view.regions.length), 'stores alive': `${alive} of ${view.stores.length}`, 'reads/s': number(reads.rate), 'writes/s': number(writes.rate) });
}

function note(view, said) {
  const time = new Date(view.at_ms).toTimeString().slice(0, 8);
  for (const one of said) happened.unshift({ ...one, time, n: (happened[0]?.n ?? 0) + 1 });
  happened.length = Math.min(happened.length, EVENTS);
  const items = happened.length ? happened : [{ n: 0, words: 'nothing, since this page was opened', none: true }];
  keyed(by('events'), items, (item) => item.n, (item) => el('li', { class: item.none ? 'none' : item.bad ? 'bad' : '' }, item.time ? el('time', {}, item.time) : '', item.words));
}

function totals(values) {
  keyed(by('totals'), Object.entries(values), ([name]) => name, ([name]) => el('div', {}, el('dt', {}, name), el('dd')), (item, [, value]) => text(item.querySelector('dd'), value));
}

function where(words, lost) {
  text(by('where'), words);
  by('where').classList.toggle('lost', lost);
}

const source = new EventSource('/dashboard/events');
source.onmessage = (message) => take(JSON.parse(message.data));
source.onerror = () => where('the server does not answer: what you see is old', true);
