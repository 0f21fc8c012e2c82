// What a writer does to records: create, update, duplicate, delete, bring back, restore.

import * as cma from '@datocms/cma-client-node';
import { all, assert, check, client, control, refused, run } from './harness.mjs';

const dato = client();
const schema = new cma.SchemaRepository(dato);
const models = Object.fromEntries((await dato.itemTypes.list()).map((model) => [model.api_key, model]));
const [author] = await dato.items.list({ filter: { type: 'author' }, page: { limit: 1 } });
const [upload] = await dato.uploads.list({ page: { limit: 1 } });

const quote = (words) => cma.buildBlockRecord({ item_type: { type: 'item_type', id: models.quote.id }, words, said_by: 'me' });
const body = (...children) => ({ schema: 'dast', document: { type: 'root', children } });
const paragraph = (...children) => ({ type: 'paragraph', children });

/** A new article, with anything in `more`. */
function write(more = {}) {
  return dato.items.create({ item_type: { type: 'item_type', id: models.article.id }, title: { en: 'Hello', it: 'Ciao' }, ...more });
}

check('a record is created with all that it says, and read back the same', async () => {
  const created = await write({ author: author.id, reads: 7, rating: 1.5, is_premium: true, dateline: '2026-03-01', data: '{"a":1}' });
  assert.equal(created.meta.status, 'draft');
  assert.deepEqual(created.title, { en: 'Hello', it: 'Ciao' });
  const found = await dato.items.find(created.id);
  assert.deepEqual(found.title, created.title);
  assert.deepEqual([found.author, found.reads, found.rating, found.is_premium], [author.id, 7, 1.5, true]);
  assert.deepEqual([found.dateline, found.data], ['2026-03-01', '{"a":1}']);
  assert.equal(found.creator.type, 'access_token');
  assert.ok(Math.abs(Date.parse(found.meta.created_at) - Date.now()) < 60_000);
});

check('a record may have one locale only', async () => {
  const created = await write({ title: { it: 'Solo' }, slug: { it: 'solo' } });
  assert.deepEqual(Object.keys(created.title), ['it']);
  assert.deepEqual(Object.keys(created.body), ['it']);
});

check('a record of which little is said is empty everywhere else, in the way of each type', async () => {
  const created = await write({ title: { en: 'Only this' } });
  assert.deepEqual([created.sections, created.pictures, created.categories, created.related], [[], [], [], []]);
  assert.deepEqual([created.cover, created.author, created.pull_quote, created.reads, created.data], [null, null, null, null, null]);
  assert.deepEqual([created.body, created.seo], [{ en: null }, { en: null }]);
});

check('a file gets the members that were not sent', async () => {
  const created = await write({ cover: { upload_id: upload.id }, pictures: [{ upload_id: upload.id, alt: 'x' }] });
  for (const file of [created.cover, created.pictures[0]]) {
    assert.deepEqual(Object.keys(file).toSorted(), ['alt', 'custom_data', 'focal_point', 'poster_time', 'title', 'upload_id']);
  }
  assert.equal(created.pictures[0].alt, 'x');
});

check('modular content is sent as blocks and comes back as ids, or whole', async () => {
  const created = await write({ sections: [quote('one'), quote('two')], pull_quote: quote('three') });
  assert.ok(cma.isRichTextFieldValue(created.sections));
  assert.ok(cma.isSingleBlockFieldValue(created.pull_quote));
  const nested = await dato.items.find(created.id, { nested: true });
  assert.deepEqual(nested.sections.map((block) => block.attributes.words), ['one', 'two']);
  assert.equal(nested.sections[0].__itemTypeId, models.quote.id);
  assert.equal(nested.pull_quote.attributes.words, 'three');
});

check('blocks lie within blocks', async () => {
  const columns = cma.buildBlockRecord({
    item_type: { type: 'item_type', id: models.columns.id }, left: [quote('left')], right: quote('right'),
  });
  const created = await write({ sections: [columns] });
  const nested = await dato.items.find(created.id, { nested: true });
  assert.equal(nested.sections[0].attributes.left[0].attributes.words, 'left');
  assert.equal(nested.sections[0].attributes.right.attributes.words, 'right');
  const found = await cma.findAllBlocksInNonLocalizedFieldValue(nested.sections, 'rich_text', schema, () => true);
  assert.equal(found.length, 3);
});

check('structured text keeps its blocks, inline blocks and links', async () => {
  const mention = cma.buildBlockRecord({ item_type: { type: 'item_type', id: models.mention.id }, handle: '@me' });
  const created = await write({
    body: {
      en: body(
        paragraph({ type: 'span', value: 'Hi ' }, { type: 'inlineBlock', item: mention }, { type: 'inlineItem', item: author.id }),
        { type: 'block', item: quote('in text') },
      ),
      it: body(paragraph({ type: 'itemLink', item: author.id, children: [{ type: 'span', value: 'lei' }] })),
    },
  });
  assert.ok(cma.isLocalizedStructuredTextFieldValue(created.body));
  const nested = await dato.items.find(created.id, { nested: true });
  assert.ok(cma.isLocalizedStructuredTextFieldValueInNestedResponse(nested.body));
  const [first, second] = nested.body.en.document.children;
  assert.equal(first.children[1].item.attributes.handle, '@me');
  assert.equal(first.children[2].item, author.id);
  assert.equal(second.item.attributes.words, 'in text');
  assert.equal(nested.body.it.document.children[0].children[0].item, author.id);
});

check('blocks are kept by id, changed in part, and copied', async () => {
  const created = await write({ sections: [quote('one'), quote('two')] });
  const [one, two] = created.sections;
  const changed = await dato.items.update(created.id, {
    sections: [two, cma.buildBlockRecord({ id: one, item_type: { type: 'item_type', id: models.quote.id }, words: 'uno' })],
  });
  assert.deepEqual(changed.sections, [two, one]);
  const nested = await dato.items.find(created.id, { nested: true });
  assert.deepEqual(nested.sections.map((block) => block.attributes.words), ['two', 'uno']);
  assert.equal(nested.sections[1].attributes.said_by, 'me');
  const copy = await cma.duplicateBlockRecord(nested.sections[0], schema);
  const grown = await dato.items.update(created.id, { sections: [two, one, copy] });
  assert.equal(new Set(grown.sections).size, 3);
});

check('an update changes only what it sends, and makes a version', async () => {
  const created = await write({ reads: 1 });
  const updated = await dato.items.update(created.id, { reads: 2 });
  assert.deepEqual(updated.title, created.title);
  assert.equal(updated.reads, 2);
  assert.notEqual(updated.meta.current_version, created.meta.current_version);
  const versions = await dato.itemVersions.list(created.id);
  assert.deepEqual(versions.map((version) => version.reads), [2, 1]);
  assert.deepEqual(versions.map((version) => version.meta.is_current), [true, false]);
});

check('an update with the version seen last goes through, and with an older one does not', async () => {
  const created = await write();
  const seen = created.meta.current_version;
  await dato.items.update(created.id, { reads: 2, meta: { current_version: seen } });
  const error = await refused(dato.items.update(created.id, { reads: 3, meta: { current_version: seen } }), 'STALE_ITEM_VERSION', 422);
  assert.equal(error.errors[0].attributes.transient, undefined);
  assert.equal((await dato.items.find(created.id)).reads, 2);
});

check('ids that the client makes are taken', async () => {
  const id = cma.generateId();
  const created = await write({ id });
  assert.equal(created.id, id);
  await refused(write({ id }), 'INVALID_ENTITY_ID', 422);
});

check('a record may claim to be of another day and of somebody else', async () => {
  const [user] = await dato.users.list();
  const created = await write({ meta: { created_at: '2020-05-06T07:08:09Z' }, creator: { type: 'user', id: user.id } });
  const found = await dato.items.find(created.id);
  assert.equal(Date.parse(found.meta.created_at), Date.parse('2020-05-06T07:08:09Z'));
  assert.equal(found.creator.id, user.id);
});

check('a value that breaks a rule of its field is refused with the field and the rule', async () => {
  const error = await refused(write({ title: { en: '' } }), 'INVALID_FIELD', 422, { field: 'title', code: 'VALIDATION_REQUIRED' });
  assert.ok(error.errors[0].attributes.doc_url);
});

check('a second record of a singleton is refused', async () => {
  await refused(
    dato.items.create({ item_type: { type: 'item_type', id: models.homepage.id }, welcome: { en: 'x' } }), 'DUPLICATE_SINGLETON', 422,
  );
});

check('a duplicate has the content, but not the blocks, of its original', async () => {
  const created = await write({ sections: [quote('one')] });
  const twin = await dato.items.duplicate(created.id);
  assert.notEqual(twin.id, created.id);
  assert.notEqual(twin.sections[0], created.sections[0]);
  assert.deepEqual(twin.title, { en: 'Hello (duplicate)', it: 'Ciao (duplicate)' });
  const nested = await dato.items.find(twin.id, { nested: true });
  assert.equal(nested.sections[0].attributes.words, 'one');
});

check('a deleted record is gone with its versions, and may come back under its id', async () => {
  const created = await write();
  await dato.items.publish(created.id);
  const gone = await dato.items.destroy(created.id);
  assert.equal(gone.id, created.id);
  await refused(dato.items.find(created.id), 'NOT_FOUND', 404);
  await refused(dato.itemVersions.find(created.meta.current_version), 'NOT_FOUND', 404);
  await refused(dato.itemVersions.list(created.id), 'NOT_FOUND', 404);
  const back = await write({ id: created.id, title: { en: 'Again' } });
  assert.equal(back.id, created.id);
  const versions = await all(dato.itemVersions.listPagedIterator(created.id));
  assert.deepEqual(versions.map((version) => version.title.en), ['Again']);
});

check('a record that must not dangle is not deleted', async () => {
  const error = await refused(dato.items.destroy(author.id), 'DELETE_RESTRICTION', 422);
  assert.equal(error.response.statusText, 'N/A'); // it came as the result of a job
});

check('an old version is restored as a new one', async () => {
  const created = await write({ reads: 1 });
  await dato.items.update(created.id, { reads: 2 });
  const [record, version] = await dato.itemVersions.restore(created.meta.current_version);
  assert.equal(record.reads, 1);
  assert.equal(record.meta.current_version, version.id);
  assert.equal(version.meta.is_current, true);
  const versions = await dato.itemVersions.list(created.id);
  assert.deepEqual(versions.map((one) => one.reads), [1, 2, 1]);
});

check('a record moves through its workflow without a new version', async () => {
  const created = await write();
  assert.equal(created.meta.stage, 'writing');
  const moved = await dato.items.update(created.id, { meta: { stage: 'ready' } });
  assert.equal(moved.meta.stage, 'ready');
  assert.equal(moved.meta.current_version, created.meta.current_version);
});

check('many records are moved, and deleted, at once', async () => {
  const two = await Promise.all([write(), write()]);
  const items = two.map(({ id }) => ({ type: 'item', id }));
  await dato.items.bulkMoveToStage({ stage: 'reviewing', items });
  assert.equal((await dato.items.find(two[1].id)).meta.stage, 'reviewing');
  const raw = await dato.items.rawBulkDestroy({
    data: { type: 'item_bulk_destroy_operation', relationships: { items: { data: [...items, { type: 'item', id: cma.generateId() }] } } },
  });
  assert.deepEqual(raw.meta, { successful: 2, failed: 1 });
  await refused(dato.items.find(two[0].id), 'NOT_FOUND', 404);
});

check('pages of a tree know their parent', async () => {
  const page = (title, parent) =>
    dato.items.create({ item_type: { type: 'item_type', id: models.page.id }, title: { en: title }, parent_id: parent ?? null });
  const top = await page('Top');
  const below = await page('Below', top.id);
  assert.equal((await dato.items.find(below.id)).parent_id, top.id);
  assert.equal((await dato.items.find(top.id)).meta.has_children, true);
});

check('content may be checked before it is sent', async () => {
  await dato.items.validateNew({ item_type: { type: 'item_type', id: models.article.id }, title: { en: 'fine' } });
  await refused(
    dato.items.validateNew({ item_type: { type: 'item_type', id: models.article.id }, title: { en: '' } }), 'INVALID_FIELD', 422,
  );
  const created = await write();
  await dato.items.validateExisting(created.id, { reads: 3 });
  await refused(dato.items.validateExisting(created.id, { title: { en: null } }), 'INVALID_FIELD', 422);
  assert.equal((await dato.items.find(created.id)).meta.current_version, created.meta.current_version);
});

check('all that is wrong is told at once, in blocks as well', async () => {
  const { token } = await control('projects', {});
  const other = client({ apiToken: token, autoRetry: false });
  const block = await other.itemTypes.create({ name: 'Line', api_key: 'line', modular_block: true });
  const model = await other.itemTypes.create({ name: 'Poem', api_key: 'poem' });
  const required = { required: {} };
  await other.fields.create(block.id, { label: 'Words', api_key: 'words', field_type: 'string', validators: required });
  await other.fields.create(model.id, { label: 'Title', api_key: 'title', field_type: 'string', validators: required });
  await other.fields.create(model.id, {
    label: 'Lines', api_key: 'lines', field_type: 'rich_text', validators: { rich_text_blocks: { item_types: [block.id] } },
  });
  const line = (words) => cma.buildBlockRecord({ item_type: { type: 'item_type', id: block.id }, words });
  const poem = { item_type: { type: 'item_type', id: model.id }, title: null, lines: [line('One'), line('')] };
  for (const attempt of [other.items.validateNew(poem), other.items.create(poem)]) {
    const error = await refused(attempt, 'INVALID_FIELD', 422);
    assert.deepEqual(error.errors.map(({ attributes: { details } }) => [details.field, details.code]), [
      ['title', 'VALIDATION_REQUIRED'], ['lines.1.words', 'VALIDATION_REQUIRED'],
    ]);
  }
  assert.equal((await other.items.rawList({ page: { limit: 0 } })).meta.total_count, 0);
});

check('a new project prints milliseconds and an offset, and a record may claim when it was first published', async () => {
  const { token } = await control('projects', {});
  const other = client({ apiToken: token });
  assert.deepEqual(await other.itemTypes.list(), []);
  const model = await other.itemTypes.create({ name: 'Note', api_key: 'note' });
  await other.fields.create(model.id, { label: 'Title', api_key: 'title', field_type: 'string' });
  const item_type = { type: 'item_type', id: model.id };
  const at = '2018-11-24T10:00';
  const old = await other.items.create({ item_type, meta: { created_at: at, first_published_at: at, published_at: at } });
  assert.equal(old.meta.created_at, '2018-11-24T10:00:00.000+00:00');
  assert.equal(old.meta.first_published_at, old.meta.created_at);
  assert.equal(old.meta.published_at, null);
  assert.equal((await other.items.create({ item_type })).meta.first_published_at, null);
});

await run();
