// Counters become rates: what has been added since the last view.

const NOTHING = { rate: 0, mean: null, p50: null, p99: null };

// For each store: reads, writes and log commits. `null` before there are two views, and when a store has begun anew.
export function rates(before, after) {
  const found = new Map();
  if (!before) return found;
  const seconds = (after.at_ms - before.at_ms) / 1000;
  const old = new Map(before.stores.map((store) => [store.id, store.numbers]));
  for (const store of after.stores) {
    const was = old.get(store.id);
    if (!was || !store.numbers) continue;
    const one = (kind) => between(was[kind], store.numbers[kind], seconds);
    found.set(store.id, { reads: one('reads'), writes: one('writes'), append: one('append') });
  }
  return found;
}

function between(was, is, seconds) {
  const count = is.count - was.count;
  if (count <= 0 || seconds <= 0) return NOTHING;
  // What was never measured before had no buckets at all.
  const buckets = is.buckets.map(([top, n], i) => [top, n - (was.buckets[i]?.[1] ?? 0)]);
  return { rate: count / seconds, mean: ((is.sum - was.sum) / count) * 1000, p50: quantile(buckets, count, 0.5), p99: quantile(buckets, count, 0.99), count, buckets };
}

// All stores together.
export function together(found, kind) {
  const all = [...found.values()].map((rate) => rate[kind]).filter((times) => times.buckets);
  if (all.length === 0) return NOTHING;
  const count = all.reduce((sum, times) => sum + times.count, 0);
  const buckets = all[0].buckets.map(([top], i) => [top, all.reduce((sum, times) => sum + times.buckets[i][1], 0)]);
  const rate = all.reduce((sum, times) => sum + times.rate, 0);
  return { rate, p50: quantile(buckets, count, 0.5), p99: quantile(buckets, count, 0.99) };
}

// In milliseconds. Within a bucket all times are taken for spread evenly, as Prometheus does.
function quantile(buckets, count, q) {
  const rank = q * count;
  let [bottom, below] = [0, 0];
  for (const [top, n] of buckets) {
    if (n >= rank) return (bottom + (top - bottom) * ((rank - below) / Math.max(1, n - below))) * 1000;
    [bottom, below] = [top, n];
  }
  return bottom * 1000;
}
