// What a DatoCMS developer writes in half an hour: the official client lists the records, some workers read each one's
// versions, and each page is one upsert into PostgreSQL. It keeps no events and no deletions, and cannot resume.
//   node copy.mjs API_URL TOKEN POSTGRES_URL WORKERS
// Prints one line of JSON: versions, seconds, cpu (seconds).
import { buildClient } from '@datocms/cma-client-node';
import pg from 'pg';

const [baseUrl, apiToken, connectionString, workers] = process.argv.slice(2);
const client = buildClient({ apiToken, baseUrl });
const pool = new pg.Pool({ connectionString, max: Number(workers) });
const COLUMNS = {
  id: 'text', record_id: 'text', model_id: 'text', created_at: 'timestamptz', is_current: 'boolean', is_published: 'boolean',
  editor_type: 'text', editor_id: 'text', attributes: 'jsonb',
};
const names = Object.keys(COLUMNS);
await pool.query(`CREATE TABLE official_versions (${names.map((name) => `${name} ${COLUMNS[name]}`).join(', ')}, PRIMARY KEY (id))`);
const upsert = `
  INSERT INTO official_versions SELECT * FROM unnest(${names.map((name, place) => `$${place + 1}::${COLUMNS[name]}[]`).join(', ')})
  ON CONFLICT (id) DO UPDATE SET ${names.slice(1).map((name) => `${name} = excluded.${name}`).join(', ')}`;

const row = ({ id, attributes, meta, relationships: { item, item_type, editor } }) => [
  id, item.data.id, item_type.data.id, meta.created_at, meta.is_current, meta.is_published, editor.data.type, editor.data.id,
  JSON.stringify(attributes),
];

const began = performance.now();
const waiting = [];
for await (const record of client.items.rawListPagedIterator({ version: 'current' }, { perPage: 500 })) waiting.push(record.id);
let versions = 0;

async function copyVersions(recordId) {
  for (let offset = 0, total = 1; offset < total; ) {
    const page = await client.itemVersions.rawList(recordId, { nested: true, page: { offset, limit: 50 } });
    const rows = page.data.map(row);
    if (rows.length) await pool.query(upsert, names.map((_, place) => rows.map((values) => values[place])));
    total = page.meta.total_count;
    offset += rows.length || 50;
    versions += rows.length;
  }
}

async function work() {
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) await copyVersions(id);
}

await Promise.all(Array.from({ length: Number(workers) }, work));
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ versions, seconds: (performance.now() - began) / 1000, cpu: (user + system) / 1e6 }));
await pool.end();
