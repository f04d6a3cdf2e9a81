// TypeScript, in two files: each tenant has a cluster, by its host name. What is
// imported is watched, too: a new line in the table is active within a second.
import { clusterOf } from './tenants/table';

export default defineRoute((req) => {
  const [tenant] = req.host.split('.');
  const cluster = clusterOf(tenant);
  return cluster ? { cluster, rule: tenant } : { respond: { status: 404, body: `no tenant is called ${tenant}\n` } };
});
