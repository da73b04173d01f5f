// The little that is needed to draw without a library: elements keep their place, and so the focus, from one view to the next.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

// Children of `parent` are made to be one for each item, in order; who has the same key stays the same element.
export function keyed(parent, items, keyOf, make, fill) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = old.get(key);
    old.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (child !== place) parent.insertBefore(child, place);
    else place = place.nextElementSibling;
    if (fill) fill(child, item);
  }
  for (const gone of old.values()) gone.remove();
}

// Writes only what has changed: a selection by a reader's mouse survives, and a screen reader is not told twice.
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

const COLOURS = [
  ['#0072b2', '#fff'], ['#e69f00', '#000'], ['#009e73', '#000'], ['#cc79a7', '#000'],
  ['#56b4e9', '#000'], ['#d55e00', '#000'], ['#f0e442', '#000'], ['#9a7bd0', '#000'], ['#8a8a8a', '#000'],
];
const seen = [];

// A store's colour is its for as long as the page is open.
export function paint(node, store) {
  if (store && !seen.includes(store)) seen.push(store);
  const colour = store ? COLOURS[seen.indexOf(store) % COLOURS.length] : null;
  node.style.setProperty('--store', colour ? colour[0] : 'var(--none)');
  node.style.setProperty('--on', colour ? colour[1] : 'var(--ink)');
}

export function meet(stores) {
  for (const id of stores.map((store) => store.id).sort((a, b) => a - b)) if (!seen.includes(id)) seen.push(id);
}

export function size(mib) {
  if (mib === null || mib === undefined) return '?';
  return mib >= 1024 ? `${(mib / 1024).toFixed(1)} GiB` : `${Math.round(mib)} MiB`;
}

export function number(value, digits = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return '-';
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}
