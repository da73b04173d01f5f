// The key space, and the region that is selected.
import { el, keyed, number, paint, size, text } from './dom.js';

const MANY = 28; // more regions than that have no room for words

export function strip(box, view, selected, choose) {
  box.classList.toggle('dense', view.regions.length > MANY);
  keyed(box, view.regions, (region) => region.id, (region) => make(region, choose), (child, region) => {
    const led = region.leader !== 0;
    if (child.dataset.leader && child.dataset.leader !== String(region.leader)) flash(child);
    child.dataset.leader = region.leader;
    child.classList.toggle('leaderless', !led);
    paint(child, region.leader);
    child.style.flexGrow = 2 + Math.sqrt(region.size_mib || 0);
    child.setAttribute('aria-pressed', region.id === selected);
    const who = led ? `led by store ${region.leader}` : 'nobody is known to lead it';
    child.setAttribute('aria-label', `region ${region.id}, from ${key(region.start)} to ${key(region.end, 'the end')}, ${who}, ${size(region.size_mib)}, peers on stores ${region.peers.map((peer) => peer.store).join(', ')}`);
    child.title = `region ${region.id} [${key(region.start)}, ${key(region.end, 'end')}) ${who}`;
    text(child.querySelector('b'), region.tail ? `${region.id} (tail)` : `region ${region.id}`);
    const [from, about] = child.querySelectorAll('span.words');
    text(from, `from ${key(region.start)}`);
    text(about, `${led ? `store ${region.leader}` : 'no leader'}, ${size(region.size_mib)}`);
    keyed(child.querySelector('.peers'), region.peers, (peer) => peer.id, () => el('i'), (dot, peer) => drawPeer(dot, peer, region));
  });
}

function make(region, choose) {
  const child = el('button', { class: 'region', type: 'button', onclick: () => choose(region.id) },
    el('b'), el('span', { class: 'words' }), el('span', { class: 'words' }), el('span', { class: 'peers' }));
  flash(child);
  return child;
}

function flash(child) {
  child.classList.remove('fresh');
  void child.offsetWidth; // begin the animation anew
  child.classList.add('fresh');
}

function drawPeer(dot, peer, region) {
  dot.className = `dot ${peer.role} ${peer.state} ${peer.store === region.leader ? 'leads' : ''}`;
  paint(dot, peer.store);
  text(dot, String(peer.store));
  dot.title = `peer ${peer.id} on store ${peer.store}: ${about(peer, region)}`;
}

function about(peer, region) {
  const words = [peer.store === region.leader ? 'leads' : peer.role];
  if (peer.state !== 'ok') words.push(peer.state === 'down' ? 'silent' : 'waits for a snapshot');
  if (peer.lag) words.push(`${number(peer.lag)} entries behind`);
  return words.join(', ');
}

function key(bound, none = 'the beginning') {
  return bound === '' ? none : bound;
}

// What is known of one region; in the playground, with buttons.
export function details(box, region, view, control) {
  if (!region) {
    text(box, 'Choose a region to see its peers.');
    box.dataset.shown = '';
    return;
  }
  const facts = `region ${region.id}  [${key(region.start)}, ${key(region.end, 'the end')})  epoch ${region.epoch}  ${size(region.size_mib)}`;
  // Buttons must not be made anew under the reader's finger.
  const shown = JSON.stringify([region.id, region.leader, region.peers.map((peer) => [peer.id, peer.role])]);
  if (box.dataset.shown !== shown) {
    box.dataset.shown = shown;
    box.replaceChildren(el('b'), el('span', { class: 'peers' }));
    if (control) box.append(regionButtons(region, control));
  }
  text(box.querySelector('b'), facts);
  keyed(box.querySelector('.peers'), region.peers, (peer) => peer.id, () => el('span', {}, el('i'), ' ', el('span'), '  '), (item, peer) => {
    drawPeer(item.querySelector('i'), peer, region);
    text(item.querySelector('span'), about(peer, region));
  });
}

function regionButtons(region, control) {
  const buttons = el('span', { class: 'buttons' });
  for (const peer of region.peers) {
    if (peer.store !== region.leader && peer.role === 'voter') {
      buttons.append(control.button(`store ${peer.store} shall lead`, `regions/${region.id}/transfer-leader/${peer.store}`, `transfer-leader ${region.id} ${peer.store}`));
    }
  }
  if (!region.tail) {
    const at = el('input', { 'aria-label': 'split at this key', placeholder: 'key' });
    buttons.append(at, control.button('split there', () => `split?key=${encodeURIComponent(at.value)}`, () => `split ${at.value || 'KEY'}`));
  }
  return buttons;
}
