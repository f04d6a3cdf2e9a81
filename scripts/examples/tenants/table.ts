type Cluster = 'one' | 'two';

const table = new Map<string, Cluster>([
  ['acme', 'one'],
  ['globex', 'two'],
]);

/** The cluster of a tenant, if there is such a tenant. */
export function clusterOf(tenant: string): Cluster | undefined {
  return table.get(tenant);
}
