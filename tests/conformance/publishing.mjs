// What makes records live: by hand, in part, in bulk, and by schedule.

import { assert, check, client, control, refused, run } from './harness.mjs';

const dato = client();
const models = Object.fromEntries((await dato.itemTypes.list()).map((model) => [model.api_key, model]));

function write(more = {}) {
  return dato.items.create({ item_type: { type: 'item_type', id: models.article.id }, title: { en: 'Hello', it: 'Ciao' }, ...more });
}

const published = async (record) => (await dato.itemVersions.list(record.id, { page: { limit: 50 } })).find((one) => one.meta.is_published);
const statusOf = async (record) => (await dato.items.find(record.id)).meta.status;

check('a record goes from draft to published to updated, and back', async () => {
  const record = await write();
  const live = await dato.items.publish(record.id);
  assert.equal(live.meta.status, 'published');
  assert.ok(live.meta.published_at);
  assert.equal(live.meta.first_published_at, live.meta.published_at);
  const updated = await dato.items.update(record.id, { reads: 1 });
  assert.equal(updated.meta.status, 'updated');
  assert.equal((await published(record)).id, record.meta.current_version);
  assert.equal((await dato.items.find(record.id, { version: 'published' })).reads, null);
  const dark = await dato.items.unpublish(record.id);
  assert.equal(dark.meta.status, 'draft');
  assert.equal(dark.meta.published_at, null);
  assert.ok(dark.meta.first_published_at);
});

check('a version knows since when, and until when, it was live', async () => {
  const record = await write();
  await dato.items.publish(record.id);
  const during = await dato.itemVersions.find(record.meta.current_version);
  assert.ok(during.meta.published_from);
  assert.equal(during.meta.published_until, null);
  await dato.items.unpublish(record.id);
  const after = await dato.itemVersions.find(record.meta.current_version);
  assert.equal(after.meta.published_from, during.meta.published_from);
  assert.ok(after.meta.published_until >= after.meta.published_from);
  assert.equal(after.meta.is_published, false);
});

check('publishing what is published changes nothing', async () => {
  const record = await write();
  const once = await dato.items.publish(record.id);
  const twice = await dato.items.publish(record.id);
  assert.deepEqual(twice.meta, once.meta);
});

check('one locale is published by itself', async () => {
  const record = await write();
  await dato.items.publish(record.id, { content_in_locales: ['en'], non_localized_content: true });
  assert.equal(await statusOf(record), 'updated');
  assert.deepEqual((await published(record)).title, { en: 'Hello' });
  assert.equal((await published(record)).meta.is_current, false);
  const state = await dato.items.currentVsPublishedState(record.id);
  assert.deepEqual(state.published_version_locales, ['en']);
  assert.deepEqual(state.added_locales, ['it']);
});

check('one locale is taken back by itself', async () => {
  const record = await write();
  await dato.items.publish(record.id);
  await dato.items.unpublish(record.id, { content_in_locales: ['it'] });
  assert.deepEqual((await published(record)).title, { en: 'Hello' });
  assert.deepEqual((await dato.items.find(record.id)).title, { en: 'Hello', it: 'Ciao' });
});

check('many records are published and unpublished at once', async () => {
  const records = await Promise.all([write(), write(), write()]);
  const items = records.map(({ id }) => ({ type: 'item', id }));
  await dato.items.bulkPublish({ items });
  assert.deepEqual(await Promise.all(records.map(statusOf)), ['published', 'published', 'published']);
  await dato.items.bulkUnpublish({ items });
  assert.deepEqual(await Promise.all(records.map(statusOf)), ['draft', 'draft', 'draft']);
});

check('more than 200 records at once are refused', async () => {
  const items = Array.from({ length: 201 }, () => ({ type: 'item', id: models.article.id }));
  await refused(dato.items.bulkPublish({ items }), 'INVALID_PARAMS', 422);
});

check('a child is published with its parent, or not at all', async () => {
  const page = (title, parent) =>
    dato.items.create({ item_type: { type: 'item_type', id: models.page.id }, title: { en: title }, parent_id: parent ?? null });
  const top = await page('Top');
  const below = await page('Below', top.id);
  await refused(dato.items.publish(below.id), 'UNPUBLISHED_PARENT', 422);
  await dato.items.publish(below.id, undefined, { recursive: true });
  assert.equal(await statusOf(top), 'published');
  await refused(dato.items.unpublish(top.id), 'PUBLISHED_CHILDREN', 422);
  await dato.items.unpublish(top.id, undefined, { recursive: true });
  assert.equal(await statusOf(below), 'draft');
});

check('without drafts each save is live', async () => {
  const category = await dato.items.create({ item_type: { type: 'item_type', id: models.category.id }, name: { en: 'New' } });
  assert.equal(category.meta.status, 'published');
  const changed = await dato.items.update(category.id, { name: { en: 'Newer' } });
  const version = await published(category);
  assert.equal(version.id, changed.meta.current_version);
  assert.equal(version.meta.is_current, true);
});

check('the clock publishes and unpublishes when it is time, each at its time', async () => {
  const record = await write();
  const { now } = await control('clock');
  const at = (days) => new Date(Math.floor(Date.parse(now) / 1000) * 1000 + days * 86_400_000).toISOString();
  const plan = await dato.scheduledPublication.create(record.id, { publication_scheduled_at: at(100) });
  assert.equal(Date.parse(plan.publication_scheduled_at), Date.parse(at(100)));
  await dato.scheduledUnpublishing.create(record.id, { unpublishing_scheduled_at: at(101) });
  const { meta } = await dato.items.find(record.id);
  assert.equal(Date.parse(meta.publication_scheduled_at), Date.parse(at(100)));
  assert.equal(Date.parse(meta.unpublishing_scheduled_at), Date.parse(at(101)));
  await control('clock', { set: at(100.5) });
  assert.equal(await statusOf(record), 'published');
  await control('clock', { set: at(102) });
  assert.equal(await statusOf(record), 'draft');
  const version = await dato.itemVersions.find(record.meta.current_version);
  assert.equal(Date.parse(version.meta.published_from), Date.parse(at(100)));
  assert.equal(Date.parse(version.meta.published_until), Date.parse(at(101)));
  assert.equal((await dato.items.find(record.id)).meta.publication_scheduled_at, null);
});

check('a plan may be given up', async () => {
  const record = await write();
  const at = '2099-01-01T00:00:00Z';
  await dato.scheduledPublication.create(record.id, { publication_scheduled_at: at });
  await dato.scheduledUnpublishing.create(record.id, { unpublishing_scheduled_at: at });
  const state = await dato.items.currentVsPublishedState(record.id);
  assert.ok(state.scheduled_publication);
  await dato.scheduledPublication.destroy(record.id);
  await dato.scheduledUnpublishing.destroy(record.id);
  const { meta } = await dato.items.find(record.id);
  assert.deepEqual([meta.publication_scheduled_at, meta.unpublishing_scheduled_at], [null, null]);
});

check('nothing is planned for a time that has passed', async () => {
  const record = await write();
  await refused(dato.scheduledPublication.create(record.id, { publication_scheduled_at: '2001-01-01T00:00:00Z' }), 'INVALID_DATE', 422);
});

check('a planned time comes back as it was sent', async () => {
  const record = await write();
  const at = '2056-02-10T12:03:42.208+01:00';
  assert.equal((await dato.scheduledPublication.create(record.id, { publication_scheduled_at: at })).publication_scheduled_at, at);
  assert.equal((await dato.scheduledUnpublishing.create(record.id, { unpublishing_scheduled_at: at })).unpublishing_scheduled_at, at);
});

await run();
