// What concerns the whole project: maintenance, usage, who uses it up.

import { assert, check, client, control, refused, run } from './harness.mjs';

const dato = client();

check('in maintenance, writes wait and reads go on', async () => {
  assert.equal((await dato.maintenanceMode.find()).active, false);
  assert.equal((await dato.maintenanceMode.activate()).active, true);
  const [article] = await dato.items.list({ filter: { type: 'article' }, page: { limit: 1 } });
  await refused(client({ autoRetry: false }).items.update(article.id, { reads: 1 }), 'MAINTENANCE_MODE', 503);
  assert.equal((await dato.maintenanceMode.deactivate()).active, false);
  assert.equal((await dato.items.update(article.id, { reads: 1 })).reads, 1);
});

check('usage is told day by day', async () => {
  const days = await dato.dailyUsages.list();
  const today = days.at(-1);
  assert.match(today.date, /^\d{4}-\d{2}-\d{2}$/);
  assert.ok(today.cma_api_calls > 0);
  assert.ok(today.cma_traffic_bytes > 0);
});

check('usage is told by caller', async () => {
  const { result } = await dato.usageCounters.find('cma_user_requests', { period: 'today' });
  assert.ok(result.some((one) => one.counter > 0 && typeof one.value === 'string'));
});

check('the limits and features of the plan can be read', async () => {
  const limits = await dato.subscriptionLimits.list();
  assert.ok(limits.some((one) => one.code === 'history_retention_days' && one.limit === null));
  const features = await dato.subscriptionFeatures.list();
  assert.ok(features.some((one) => one.code === 'workflows' && one.enabled));
});

check('a fresh project has a row of usage for today', async () => {
  const { token: apiToken } = await control('projects', {});
  const days = await client({ apiToken }).dailyUsages.list();
  assert.deepEqual(days.map((day) => [day.cma_api_calls, day.mux_delivered_seconds]), [[0, 0]]);
});

check('there are lists of what a project has none of', async () => {
  const { token: apiToken } = await control('projects', {});
  const fresh = client({ apiToken });
  for (const resource of [
    'plugins', 'menuItems', 'schemaMenuItems', 'buildTriggers', 'searchIndexes', 'itemTypeFilters', 'uploadFilters',
    'uploadCollections', 'siteInvitations', 'ssoGroups', 'workflows', 'buildEvents', 'searchIndexEvents', 'uploadTags', 'uploadSmartTags',
  ]) {
    assert.deepEqual(await fresh[resource].list(), [], resource);
  }
  assert.deepEqual(await fresh.searchResults.list({ filter: { query: 'a' } }), []);
  const [upload] = await dato.uploads.list();
  assert.deepEqual(await dato.uploadTracks.list(upload.id), []);
});

check('the time zone and milliseconds change the text of times, and no instant', async () => {
  const find = async () => (await dato.items.list({ filter: { type: 'article' }, page: { limit: 1 } }))[0];
  const before = await find();
  assert.match(before.meta.created_at, /:\d\dZ$/);
  assert.equal((await dato.site.update({ timezone: 'Asia/Tokyo' })).timezone, 'Asia/Tokyo');
  const after = await find();
  assert.match(after.meta.created_at, /:\d\d\+09:00$/);
  assert.equal(Date.parse(after.meta.created_at), Date.parse(before.meta.created_at));
  assert.equal(Date.parse(after.happens_at), Date.parse(before.happens_at));
  assert.equal((await dato.site.activateMillisecondsInDatetime()).meta.milliseconds_in_datetime, true);
  assert.match((await find()).meta.created_at, /:\d\d\.\d{3}\+09:00$/);
  await dato.site.update({ timezone: 'UTC' });
});

await run({ inTurn: true });
