// Lines over the last three minutes.
import { el, number, text } from './dom.js';

const LENGTH = 180_000;
const CHARTS = [
  { title: 'throughput', unit: '/s', digits: 0, lines: [['reads', 'reads'], ['writes', 'writes']] },
  { title: 'latency, reads', unit: ' ms', digits: 1, lines: [['p50', 'reads50'], ['p99', 'reads99']] },
  { title: 'latency, writes', unit: ' ms', digits: 1, lines: [['p50', 'writes50'], ['p99', 'writes99']] },
  { title: 'timestamps', unit: '/s', digits: 0, lines: [['handed out', 'tso']] },
  { title: 'log lag of followers', unit: '', digits: 0, lines: [['entries, all regions', 'lag']] },
  { title: 'locks older than their TTL', unit: '', digits: 0, lines: [['locks', 'locks']] },
];
const samples = [];

export function sample(values) {
  samples.push(values);
  while (samples.length > 2 && samples[0].at < values.at - LENGTH) samples.shift();
}

export function charts(box) {
  if (!box.firstChild) box.append(...CHARTS.map(make));
  CHARTS.forEach((chart, n) => draw(box.children[n], chart));
}

function make(chart) {
  const legend = chart.lines.map(([name], n) => el('span', {}, el('i', { class: `s${n}` }), `${name} `, el('b')));
  const figure = el('figure', {}, el('figcaption', {}, chart.title, ...legend));
  const lines = chart.lines.map((_, n) => `<polyline class="s${n}"></polyline>`).join('');
  figure.insertAdjacentHTML('beforeend', `<svg viewBox="0 0 300 84" preserveAspectRatio="none" aria-hidden="true"><line class="axis" x1="0" y1="82" x2="300" y2="82"></line><line class="axis" x1="0" y1="12" x2="300" y2="12"></line>${lines}</svg>`);
  figure.append(el('small', { class: 'top' }));
  return figure;
}

function draw(figure, chart) {
  const last = samples[samples.length - 1];
  const values = samples.flatMap((one) => chart.lines.map(([, field]) => one[field] ?? 0));
  const top = nice(Math.max(1, ...values));
  const names = figure.querySelectorAll('figcaption b');
  const lines = figure.querySelectorAll('polyline');
  chart.lines.forEach(([, field], n) => {
    const points = samples.filter((one) => one[field] !== null && one[field] !== undefined);
    const at = (one) => `${(300 + ((one.at - last.at) / LENGTH) * 300).toFixed(1)},${(82 - (one[field] / top) * 70).toFixed(1)}`;
    lines[n].setAttribute('points', points.map(at).join(' '));
    text(names[n], last[field] === null || last[field] === undefined ? '-' : `${number(last[field], chart.digits)}${chart.unit}`);
  });
  text(figure.querySelector('.top'), `the upper line is ${number(top)}${chart.unit}`);
}

// 1, 2 or 5 times a power of ten.
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * power).find((top) => top >= value);
}
