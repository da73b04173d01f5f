// What the scheduler wants done.
import { el, keyed } from './dom.js';

export function operators(running, ended, view) {
  const none = (items, words) => (items.length ? items : [{ none: true, words }]);
  const line = (item) => el('li', { class: item.none ? 'none' : item.bad ? 'bad' : '' }, item.words);
  keyed(running, none(view.operators.map((words) => ({ words })), 'nothing'), (item) => item.words, line);
  const done = view.ended.slice(-40).reverse().map((one) => ({
    words: `${one.operator}: ${one.status.toLowerCase()}${one.reason ? `, ${one.reason}` : ''}`, key: `${one.at_ms} ${one.operator}`,
  }));
  keyed(ended, none(done, 'nothing yet'), (item) => item.key || item.words, line);
}
