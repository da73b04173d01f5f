// Buttons that change something. They exist in the playground only, and send the token that this page was served with.
import { el, text } from './dom.js';

export function controls(token, bar, command, result) {
  const show = (words) => {
    bar.hidden = false;
    text(command, `cargo tinykv ${words}`);
  };
  const act = async (path, words) => {
    show(words);
    result.className = '';
    text(result, 'asked');
    try {
      const answer = await fetch(`/control/${path}`, { method: 'POST', headers: { 'x-tinykv-token': token } });
      const said = (await answer.text()).trim();
      result.className = answer.ok ? '' : 'bad';
      text(result, said || (answer.ok ? 'done' : `refused (${answer.status})`));
    } catch (error) {
      result.className = 'bad';
      text(result, `no answer: ${error.message}`);
    }
  };
  const now = (value) => (typeof value === 'function' ? value() : value);
  // `words` is what one would type behind `tinykv ctl`; or, with a `!`, behind `tinykv`.
  const button = (label, path, words, style = '') => {
    const typed = () => (now(words).startsWith('!') ? now(words).slice(1) : `ctl ${now(words)}`);
    const preview = () => show(typed());
    return el('button', { class: `do ${style}`, type: 'button', title: '', onclick: () => act(now(path), typed()), onfocus: preview, onmouseenter: preview }, label);
  };
  return { button, show };
}

export function actions(box, view, control) {
  if (!box.firstChild) {
    const clients = el('input', { class: 'narrow', type: 'number', min: 1, max: 64, value: 8, 'aria-label': 'clients' });
    const words = () => `!bench bank --clients ${clients.value}`;
    box.append(
      el('fieldset', {}, el('legend', {}, 'stores'), control.button('add an empty store', 'stores/add', 'add-store')),
      el('fieldset', {}, el('legend', {}, 'bank: transfers between 1,000 accounts, and sums that must not change'), clients, ' clients ',
        control.button('run', () => `bank/run?clients=${clients.value}`, words), control.button('end', 'bank/end', words), el('b', { id: 'bank', 'aria-live': 'polite' })),
    );
  }
  text(box.querySelector('#bank'), view.bank || 'no bank yet');
}
