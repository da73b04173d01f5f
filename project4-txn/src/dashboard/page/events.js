// What has happened between two views, in words.
import { condition } from './stores.js';

export function compare(before, after) {
  const said = [];
  const say = (words, bad = false) => said.push({ words, bad });
  const old = new Map(before.regions.map((region) => [region.id, region]));
  for (const region of after.regions) {
    const was = old.get(region.id);
    old.delete(region.id);
    if (!was) born(region, before, after, say);
    else changed(was, region, say);
  }
  // A store's own page: a region can leave it.
  for (const gone of old.values()) say(`region ${gone.id} is not here any more`);
  const known = new Map(before.stores.map((store) => [store.id, store]));
  for (const store of after.stores) {
    const was = known.get(store.id);
    if (!was) say(`store ${store.id} has joined`);
    else if (condition(was) !== condition(store)) say(`store ${store.id}: ${condition(was)}, now ${condition(store)}`, condition(store) !== 'alive');
  }
  for (const [a, b] of after.links) if (!has(before.links, a, b)) say(`stores ${a} and ${b} no longer hear each other`, true);
  for (const [a, b] of before.links) if (!has(after.links, a, b)) say(`stores ${a} and ${b} hear each other again`);
  return said;
}

function has(links, a, b) {
  return links.some(([c, d]) => a === c && b === d);
}

function born(region, before, after, say) {
  // The left part is the new region: the one to its right was whole before.
  const right = after.regions.find((other) => other.start === region.end && region.end !== '');
  const was = right && before.regions.find((other) => other.id === right.id);
  if (was && was.start !== right.start) say(`region ${right.id} was split at ${right.start}: what is left of it is region ${region.id}`);
  else say(`region ${region.id} is new, from ${region.start || 'the beginning'}`);
}

function changed(was, region, say) {
  if (was.leader !== region.leader) {
    if (region.leader === 0) say(`region ${region.id}: nobody is known to lead it`, true);
    else if (was.leader === 0) say(`region ${region.id}: store ${region.leader} leads`);
    else say(`region ${region.id}: store ${was.leader} led, now store ${region.leader}`);
  }
  const old = new Map(was.peers.map((peer) => [peer.id, peer]));
  for (const peer of region.peers) {
    const before = old.get(peer.id);
    old.delete(peer.id);
    if (!before) say(`region ${region.id}: store ${peer.store} gets a copy, as a ${peer.role}`);
    else if (before.role !== peer.role) say(`region ${region.id}: the copy on store ${peer.store} is a ${peer.role} now`);
    else if (before.state !== 'down' && peer.state === 'down') say(`region ${region.id}: its leader does not hear store ${peer.store}`, true);
  }
  for (const gone of old.values()) say(`region ${region.id}: the copy on store ${gone.store} is removed`);
}
