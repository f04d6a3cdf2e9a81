// What was heard of the sidecar, and what follows from two looks at a counter.

const KEPT = 240; // seconds of traffic
const KEPT_BACKEND = 60;

export const state = {
  snapshot: null,
  series: new Map(), // cluster -> seconds, the oldest first
  backends: new Map(), // cluster and address -> { rate, rates, p50, p99, requests }
};

export const backendKey = (cluster, address) => `${cluster} ${address}`;

let before = null;

// take takes an event of the stream in. Fresh is the first one of a connection: it has
// all seconds that are remembered.
export function take(snapshot, fresh) {
  const { traffic, status } = snapshot;
  const series = new Map();
  for (const { cluster, seconds } of traffic.clusters) {
    const known = fresh ? [] : (state.series.get(cluster) ?? []);
    series.set(cluster, [...known, ...seconds].slice(-KEPT));
  }
  state.series = series;

  const times = new Map(traffic.backends.map((one) => [backendKey(one.cluster, one.address), one]));
  const elapsed = before ? (new Date(snapshot.at) - new Date(before.at)) / 1000 : 0;
  const counted = new Map();
  const backends = new Map();
  for (const cluster of status.clusters) {
    for (const backend of cluster.backends) {
      const key = backendKey(cluster.name, backend.address);
      counted.set(key, backend.requests);
      const known = state.backends.get(key);
      const was = before?.counted.get(key);
      const rates = known?.rates ?? [];
      if (was !== undefined && elapsed > 0.2) rates.push(Math.max(0, backend.requests - was) / elapsed);
      if (rates.length > KEPT_BACKEND) rates.shift();
      const last = rates.slice(-5);
      const rate = last.length ? last.reduce((sum, one) => sum + one, 0) / last.length : 0;
      backends.set(key, { rates, rate, p50: times.get(key)?.p50_ms, p99: times.get(key)?.p99_ms });
    }
  }
  state.backends = backends;
  before = { at: snapshot.at, counted };
  state.snapshot = snapshot;
}

// lately sums up the last seconds of some clusters.
export function lately(names, seconds = 5) {
  const sum = { requests: 0, failed: 0, p50: 0, p99: 0, seconds: 0 };
  for (const name of names) {
    const last = (state.series.get(name) ?? []).slice(-seconds);
    sum.seconds = Math.max(sum.seconds, last.length);
    for (const one of last) {
      sum.requests += one.requests;
      sum.failed += one.failed;
      sum.p50 = Math.max(sum.p50, one.p50_ms);
      sum.p99 = Math.max(sum.p99, one.p99_ms);
    }
  }
  sum.rate = sum.seconds ? sum.requests / sum.seconds : 0;
  return sum;
}
