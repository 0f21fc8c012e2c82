// Webhooks, the calls that they make, and the log of these.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { all, assert, check, client, eventually, refused, run } from './harness.mjs';

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
  assert.ok(said.related_entities.some((one) => one.id === models.article.id));
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

await run();
