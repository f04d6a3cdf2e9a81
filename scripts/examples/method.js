// Reads go to the replicas, everything else to where writes are taken.
const READS = ['GET', 'HEAD', 'OPTIONS'];

export default defineRoute((req) => (READS.includes(req.method) ? 'two' : 'one'));
