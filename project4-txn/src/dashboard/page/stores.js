// The stores.
import { el, keyed, number, paint, size, text } from './dom.js';

const ROWS = ['regions', 'leads', 'data', 'disk', 'heard', 'reads', 'writes', 'log', 'lag', 'locks'];
const NAMES = {
  regions: 'regions', leads: 'of these it leads', data: 'data', disk: 'files, free disk', heard: 'last heartbeat', reads: 'reads, p99',
  writes: 'writes, p99', log: 'log fsync, mean', lag: 'log lag of its followers', locks: 'locks older than their TTL',
};

export function stores(box, view, rates, control) {
  keyed(box, view.stores, (store) => store.id, (store) => make(store, control), (card, store) => {
    const state = condition(store);
    paint(card, store.id);
    card.classList.toggle('away', state !== 'alive');
    text(card.querySelector('.name'), `store ${store.id}`);
    text(card.querySelector('.state'), state);
    const rate = rates.get(store.id);
    const values = {
      regions: number(store.regions), leads: number(store.leaders), data: size(store.size_mib),
      disk: store.free_mib === null ? '?' : `${size(store.used_mib)}, ${size(store.free_mib)}`,
      heard: store.silent_ms === null ? 'it is this one' : `${(store.silent_ms / 1000).toFixed(1)} s ago`,
      reads: rate ? pace(rate.reads) : '-', writes: rate ? pace(rate.writes) : '-',
      log: rate && rate.append.mean !== null ? `${number(rate.append.mean, 2)} ms` : '-',
      lag: store.numbers ? `${number(store.numbers.lag)} entries` : '-',
      locks: store.numbers ? number(store.numbers.old_locks) : '-',
    };
    for (const row of ROWS) text(card.querySelector(`.v-${row}`), values[row]);
    if (control) {
      for (const button of card.querySelectorAll('button[data-when]')) button.disabled = (button.dataset.when === 'runs') !== (store.runs === true);
      links(card, store, view, control);
    }
  });
}

function pace(times) {
  const p99 = times.p99 === null ? '' : `, ${number(times.p99, 1)} ms`;
  return `${number(times.rate)}/s${p99}`;
}

export function condition(store) {
  if (store.runs === false) return store.why || 'stopped';
  if (store.state !== 'Up') return store.state.toLowerCase();
  return { Alive: 'alive', Disconnected: 'silent', Down: 'lost' }[store.health] || store.health;
}

function make(store, control) {
  const rows = ROWS.map((row) => el('tr', {}, el('th', { scope: 'row' }, NAMES[row]), el('td', { class: `v-${row}` })));
  const card = el('article', { class: 'store', 'aria-label': `store ${store.id}` },
    el('h3', {}, el('span', { class: 'name' }), el('span', { class: 'state' })),
    el('code', {}, store.address), el('table', {}, el('tbody', {}, ...rows)));
  if (control) {
    const button = (label, what, when, style = '') => {
      const made = control.button(label, `stores/${store.id}/${what}`, `${what}-store ${store.id}`, style);
      made.dataset.when = when;
      return made;
    };
    card.append(el('div', { class: 'buttons' }, button('stop', 'stop', 'runs'), button('kill', 'kill', 'runs', 'danger'), button('start', 'start', 'away')),
      el('div', { class: 'buttons links' }));
  }
  return card;
}

// One button a pair, on the card of the store with the smaller id.
function links(card, store, view, control) {
  const others = view.stores.filter((other) => other.id > store.id);
  const isCut = (other) => view.links.some(([a, b]) => a === store.id && b === other.id);
  const key = (other) => `${other.id}-${isCut(other)}`;
  keyed(card.querySelector('.links'), others, key, (other) => (isCut(other)
    ? control.button(`mend link to ${other.id}`, `links/${store.id}/${other.id}/mend`, `mend-link ${store.id} ${other.id}`)
    : control.button(`cut link to ${other.id}`, `links/${store.id}/${other.id}/cut`, `cut-link ${store.id} ${other.id}`, 'danger')));
}
