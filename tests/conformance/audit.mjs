// The audit log: who asked for which change, found by time and by condition, read page by page.

import { assert, check, client, control, refused, run } from './harness.mjs';

const dato = client();
const models = Object.fromEntries((await dato.itemTypes.list()).map((model) => [model.api_key, model]));

const write = () => dato.items.create({ item_type: { type: 'item_type', id: models.article.id }, title: { en: 'Logged' } });

check('an act is told with whoever did it, what was sent and what was answered', async () => {
  const record = await write();
  await dato.items.publish(record.id);
  const [event, ...others] = await dato.auditLogEvents.query({
    filter: `request.path = '/items/${record.id}/publish'`, detailed_log: true,
  });
  assert.equal(others.length, 0);
  assert.equal(event.action_name, 'items.publish');
  assert.deepEqual([event.actor.type, event.actor.id], ['access_token', record.creator.id]);
  assert.deepEqual([event.environment, event.request.method], [{ id: 'main', primary: true }, 'PUT']);
  assert.equal(event.response.status, 200);
  assert.equal(event.response.payload.data.id, record.id);
  assert.match(event.id, /^[0-9A-HJKMNP-TV-Z]{26}$/);
  assert.ok(Math.abs(Date.parse(event.meta.occurred_at) - Date.now()) < 60_000);
});

check('a bulk act is one event that names its records', async () => {
  const items = (await Promise.all([write(), write()])).map(({ id }) => ({ type: 'item', id }));
  await dato.items.bulkDestroy({ items });
  const events = await dato.auditLogEvents.query({
    filter: `action_name = 'item_bulk_operations.destroy' AND request.payload.data.relationships.items.data[1].id = '${items[1].id}'`,
    detailed_log: true,
  });
  assert.deepEqual(events.map((event) => event.request.payload.data.relationships.items.data), [items]);
});

check('without details neither what was sent nor what was answered is told', async () => {
  await write();
  const [event] = await dato.auditLogEvents.query({ filter: "begins_with(action_name, 'items.')" });
  assert.equal(event.response, null);
  assert.equal(event.request.payload, undefined);
});

check('events are found by time', async () => {
  await write();
  const past = '2001-01-01T00:00:00Z';
  assert.deepEqual(await dato.auditLogEvents.query({ before: past }), []);
  assert.ok((await dato.auditLogEvents.query({ since: past })).length > 0);
});

check('a condition that no event can meet finds nothing', async () => {
  assert.deepEqual(await dato.auditLogEvents.query({ filter: 'foo', detailed_log: true }), []);
});

check('a long log is read to its end', async () => {
  const { token: apiToken } = await control('projects', {});
  const other = client({ apiToken });
  for (let number = 0; number < 101; number += 1) await other.itemTypes.create({ name: `M${number}`, api_key: `m_${number}` });
  const query = (attributes) => other.auditLogEvents.rawQuery({ data: { type: 'audit_log_query', attributes } });
  const first = await query({});
  const rest = await query({ next_token: first.meta.next_token });
  assert.deepEqual([first.data.length, rest.data.length, rest.meta.next_token], [100, 1, null]);
  assert.equal(new Set([...first.data, ...rest.data].map((event) => event.id)).size, 101);
});

check('a role without the ability may not read it', async () => {
  await refused(client({ apiToken: 'no-audit-log' }).auditLogEvents.query({}), 'INSUFFICIENT_PERMISSIONS', 401);
});

await run();
