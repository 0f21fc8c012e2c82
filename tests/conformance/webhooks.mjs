// Webhooks, the calls that they make, and the log of these.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { all, assert, check, client, control, eventually, refused, run } from './harness.mjs';

const dato = client();
const models = Object.fromEntries((await dato.itemTypes.list()).map((model) => [model.api_key, model]));
const received = new Map(); // path -> requests
const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  received.set(request.url, [...(received.get(request.url) ?? []), { headers: request.headers, method: request.method, body }]);
  response.writeHead(request.url.startsWith('/fails') ? 500 : 200).end('seen');
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const address = `http://127.0.0.1:${server.address().port}`;

function hook(path, more = {}) {
  return dato.webhooks.create({
    name: path, url: `${address}${path}`, headers: { 'X-Ours': 'yes' }, http_basic_user: 'ann', http_basic_password: 'secret',
    custom_payload: null, events: [{ entity_type: 'item', event_types: ['publish'] }], auto_retry: false, ...more,
  });
}

async function publishSomething() {
  const record = await dato.items.create({ item_type: { type: 'item_type', id: models.article.id }, title: { en: 'News' } });
  return dato.items.publish(record.id);
}

/** The call at `path` about `record`: other checks publish too. */
function callAbout(path, record) {
  return eventually(
    () => (received.get(path) ?? []).map((one) => ({ ...one, said: JSON.parse(one.body) })).find((one) => one.said.entity.id === record.id),
    `a call at ${path}`,
  );
}

check('a webhook is created, found, listed, changed and destroyed', async () => {
  const made = await hook('/unused', { enabled: false });
  assert.equal((await dato.webhooks.find(made.id)).url, `${address}/unused`);
  assert.ok((await dato.webhooks.list()).some((one) => one.id === made.id));
  assert.deepEqual(made.events, [{ entity_type: 'item', event_types: ['publish'], filters: null }]);
  const changed = await dato.webhooks.update(made.id, { name: 'other' });
  assert.deepEqual([changed.name, changed.url], ['other', made.url]);
  await dato.webhooks.destroy(made.id);
  await refused(dato.webhooks.find(made.id), 'NOT_FOUND', 404);
});

check('a call says what happened, to whom, and where', async () => {
  const made = await hook('/publish');
  const record = await publishSomething();
  const { headers, method, said } = await callAbout('/publish', record);
  assert.equal(method, 'POST');
  assert.equal(headers.authorization, `Basic ${btoa('ann:secret')}`);
  assert.equal(headers['x-ours'], 'yes');
  assert.match(headers['user-agent'], /DatoCMS/);
  assert.match(headers['content-type'], /^application\/json/);
  assert.deepEqual(
    [said.entity_type, said.event_type, said.environment, said.is_environment_primary, said.webhook_id],
    ['item', 'publish', 'main', true, made.id],
  );
  assert.equal(said.entity.meta.status, 'published');
  assert.deepEqual(said.related_entities.map(({ type, id }) => [type, id]), [
    ['item_type', models.article.id], ['access_token', record.creator.id],
  ]);
});

check('an update is told with what was there before', async () => {
  await hook('/update', { events: [{ entity_type: 'item', event_types: ['update'] }] });
  const record = await publishSomething();
  await dato.items.update(record.id, { title: { en: 'Newer' } });
  const { said } = await callAbout('/update', record);
  assert.equal(said.entity.attributes.title.en, 'Newer');
  assert.equal(said.previous_entity.attributes.title.en, 'News');
});

async function loggedCall(webhook, status) {
  return eventually(async () => {
    const calls = await dato.webhookCalls.list({ filter: { fields: { webhook_id: { eq: webhook.id } } } });
    return calls.find((call) => call.status === status);
  }, `a logged call that is ${status}`);
}

check('the log of calls tells what was sent and answered', async () => {
  const made = await hook('/logged');
  await publishSomething();
  const call = await loggedCall(made, 'success');
  assert.equal(call.webhook.id, made.id);
  assert.equal(call.request_url, `${address}/logged`);
  assert.equal(typeof call.request_payload, 'string');
  assert.equal(JSON.parse(call.request_payload).webhook_call_id, call.id);
  assert.deepEqual([call.response_status, call.response_payload], [200, 'seen']);
  assert.deepEqual([call.entity_type, call.event_type], ['item', 'publish']);
  assert.equal((await dato.webhookCalls.find(call.id)).id, call.id);
});

check('the log of calls is read page by page, in an order', async () => {
  await hook('/paged');
  for (let number = 0; number < 3; number += 1) await publishSomething();
  await eventually(() => (received.get('/paged')?.length ?? 0) >= 3, 'three calls');
  const calls = await all(dato.webhookCalls.listPagedIterator({ order_by: 'created_at_asc' }, { perPage: 2 }));
  assert.ok(calls.length >= 3);
  assert.equal(new Set(calls.map((call) => call.id)).size, calls.length);
  const times = calls.map((call) => call.created_at);
  assert.deepEqual(times, times.toSorted());
});

check('a call that failed is told as such, and is sent again when asked for', async () => {
  const made = await hook('/fails');
  await publishSomething();
  const call = await loggedCall(made, 'failed');
  assert.equal(call.response_status, 500);
  const before = received.get('/fails').length;
  await dato.webhookCalls.resendWebhook(call.id);
  await eventually(() => received.get('/fails').length > before, 'the call once more');
});

check('a call that is to be tried again says when', async () => {
  const made = await hook('/fails-and-retries', { auto_retry: true });
  await publishSomething();
  const call = await loggedCall(made, 'rescheduled');
  assert.ok(Date.parse(call.next_retry_at) > Date.parse(call.last_sent_at));
});

/** What a webhook hears of `record`, from the log of calls, in the order of the calls. */
async function heard(webhook, record) {
  const filter = { fields: { webhook_id: { eq: webhook.id } } };
  const calls = await all(dato.webhookCalls.listPagedIterator({ filter, order_by: 'created_at_asc' }, { perPage: 500 }));
  const about = calls.filter((call) => JSON.parse(call.request_payload).entity.id === record.id);
  return about.toSorted((one, other) => Number(one.id) - Number(other.id)).map((call) => call.event_type);
}

const everything = [{ entity_type: 'item', event_types: ['create', 'update', 'delete', 'publish', 'unpublish'] }];

check('without drafts a save is told as two, and so is a deletion', async () => {
  const made = await hook('/without-drafts', { events: everything });
  const record = await dato.items.create({ item_type: { type: 'item_type', id: models.category.id }, name: { en: 'Told' } });
  await dato.items.update(record.id, { name: { en: 'Told again' } });
  await dato.items.destroy(record.id);
  assert.deepEqual(await heard(made, record), ['create', 'publish', 'update', 'publish', 'unpublish', 'delete']);
});

check('with drafts a deletion is told as two where something was live', async () => {
  const made = await hook('/with-drafts', { events: everything });
  const write = () => dato.items.create({ item_type: { type: 'item_type', id: models.article.id }, title: { en: 'Told' } });
  const [live, draft] = [await write(), await write()];
  await dato.items.publish(live.id);
  await dato.items.update(live.id, { reads: 1 });
  await dato.items.destroy(live.id);
  await dato.items.destroy(draft.id);
  assert.deepEqual(await heard(made, live), ['create', 'publish', 'update', 'unpublish', 'delete']);
  assert.deepEqual(await heard(made, draft), ['create', 'delete']);
});

check('a plan is told as an update', async () => {
  const made = await hook('/planned', { events: everything });
  const record = await dato.items.create({ item_type: { type: 'item_type', id: models.article.id }, title: { en: 'Planned' } });
  await dato.scheduledPublication.create(record.id, { publication_scheduled_at: '2099-01-01T00:00:00Z' });
  assert.deepEqual(await heard(made, record), ['create', 'update']);
});

check('the maintenance mode is told', async () => {
  const { token } = await control('projects', {});
  const other = client({ apiToken: token }); // where nothing else is going on
  await other.webhooks.create({
    name: 'maintenance', url: `${address}/maintenance`, headers: {}, http_basic_user: null, http_basic_password: null,
    custom_payload: null, events: [{ entity_type: 'maintenance_mode', event_types: ['change'] }],
  });
  await other.maintenanceMode.activate({ force: true });
  await eventually(() => received.get('/maintenance')?.length === 1, 'the beginning of the maintenance');
  await other.maintenanceMode.deactivate();
  await eventually(() => received.get('/maintenance')?.length === 2, 'its end');
  const said = received.get('/maintenance').map(({ body }) => JSON.parse(body));
  assert.deepEqual(said.map((one) => [one.entity_type, one.event_type]), Array(2).fill(['maintenance_mode', 'change']));
  assert.deepEqual(said.map((one) => one.entity.attributes.active), [true, false]);
});

await run();
