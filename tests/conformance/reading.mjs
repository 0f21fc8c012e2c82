// What a reader of a project does: the schema, records page by page, versions, people, assets.

import * as cma from '@datocms/cma-client-node';
import { all, assert, check, client, run, token, url } from './harness.mjs';

const dato = client();

check('the site tells its locales and, when asked, its whole schema', async () => {
  const site = await dato.site.find();
  assert.deepEqual(site.locales, ['en', 'it']);
  assert.ok(site.last_data_change_at);
  const raw = await dato.site.rawFind({ include: 'item_types,item_types.fields' });
  const kinds = new Set(raw.included.map((one) => one.type));
  assert.deepEqual([...kinds].sort(), ['field', 'item_type']);
  assert.equal(raw.data.relationships.item_types.data.length, raw.included.filter((one) => one.type === 'item_type').length);
});

check('models are listed, and found by id and by api_key', async () => {
  const models = await dato.itemTypes.list();
  const article = models.find((model) => model.api_key === 'article');
  assert.ok(article.draft_mode_active);
  assert.equal((await dato.itemTypes.find(article.id)).id, article.id);
  assert.equal((await dato.itemTypes.find('article')).id, article.id);
  assert.ok(models.find((model) => model.api_key === 'quote').modular_block);
  assert.ok(models.find((model) => model.api_key === 'homepage').singleton);
  assert.equal(models.find((model) => model.api_key === 'category').draft_mode_active, false);
});

check('fields are listed by model and found by id', async () => {
  const fields = await dato.fields.list('article');
  const title = fields.find((field) => field.api_key === 'title');
  assert.equal(title.localized, true);
  assert.equal(title.field_type, 'string');
  const again = await dato.fields.find(title.id);
  assert.deepEqual(again, title);
  assert.deepEqual(fields.map((field) => field.position), fields.map((field) => field.position).toSorted((a, b) => a - b));
});

check('every record of every model comes once from the paged iterator', async () => {
  const total = (await dato.items.rawList({ page: { limit: 1 } })).meta.total_count;
  const records = await all(dato.items.listPagedIterator({ version: 'current' }, { perPage: 7, concurrency: 4 }));
  assert.equal(records.length, total);
  assert.equal(new Set(records.map((record) => record.id)).size, total);
});

check('records can be asked for by model, by id, and in an order', async () => {
  const articles = await dato.items.list({ filter: { type: 'article' }, order_by: 'id_ASC', page: { limit: 500 } });
  assert.ok(articles.length > 10);
  assert.deepEqual(articles.map((one) => one.id), articles.map((one) => one.id).toSorted());
  const two = articles.slice(0, 2).map((one) => one.id);
  const found = await dato.items.list({ filter: { ids: two.join(',') } });
  assert.deepEqual(found.map((one) => one.id).toSorted(), two.toSorted());
  const several = await dato.items.list({ filter: { type: 'author,page' }, page: { limit: 500 } });
  assert.equal(new Set(several.map((one) => one.item_type.id)).size, 2);
});

check('records can be asked for by what their meta says', async () => {
  const drafts = await dato.items.list({ filter: { type: 'article', fields: { _status: { eq: 'draft' } } } });
  assert.ok(drafts.length > 0);
  assert.ok(drafts.every((one) => one.meta.status === 'draft'));
  const [latest] = await dato.items.list({ page: { limit: 1 }, version: 'current' });
  const since = latest.meta.updated_at;
  const none = await dato.items.list({ filter: { fields: { _updated_at: { gt: '2999-01-01T00:00:00Z' } } } });
  assert.deepEqual(none, []);
  const some = await dato.items.list({ filter: { fields: { _updated_at: { gte: since } } } });
  assert.ok(some.some((one) => one.id === latest.id));
});

check('the published and the current version of a record differ where it was updated', async () => {
  const [updated] = await dato.items.list({ filter: { type: 'article', fields: { _status: { eq: 'updated' } } }, version: 'current' });
  const published = await dato.items.find(updated.id, { version: 'published' });
  assert.equal(published.meta.status, 'updated');
  assert.notDeepEqual(
    (await dato.itemVersions.list(updated.id)).find((version) => version.meta.is_published).id,
    updated.meta.current_version,
  );
});

check('blocks come as ids, and whole when nested is asked for', async () => {
  const [flat] = (await dato.items.rawList({ filter: { type: 'article' }, order_by: 'id_ASC', page: { limit: 1 } })).data;
  const [whole] = (await dato.items.rawList({ filter: { type: 'article' }, order_by: 'id_ASC', page: { limit: 1 }, nested: true })).data;
  assert.equal(flat.id, whole.id);
  assert.ok(flat.attributes.sections.every((block) => typeof block === 'string'));
  assert.deepEqual(whole.attributes.sections.map((block) => block.id), flat.attributes.sections);
  assert.ok(whole.attributes.sections[1].attributes.left[0].attributes.words);
  const [locale] = Object.keys(flat.attributes.body);
  const ids = (document) => document.children.flatMap((node) => (node.type === 'block' ? [node.item] : ids({ children: node.children ?? [] })));
  assert.deepEqual(
    ids(whole.attributes.body[locale].document).map((block) => block.id),
    ids(flat.attributes.body[locale].document),
  );
});

check('the client walks through the blocks of a nested record as of one of its own', async () => {
  const schema = new cma.SchemaRepository(dato);
  const [record] = await dato.items.list({ filter: { type: 'article' }, order_by: 'id_ASC', page: { limit: 1 }, nested: true });
  const found = await cma.findAllBlocksInNonLocalizedFieldValue(record.sections, 'rich_text', schema, () => true);
  assert.equal(found.length, 4);
  assert.ok(found.some((one) => one.path.length > 1));
});

check('blocks are listed among the records, and can be asked for by id', async () => {
  const [record] = (await dato.items.rawList({ filter: { type: 'article' }, page: { limit: 1 } })).data;
  const [block] = (await dato.items.rawList({ filter: { ids: record.attributes.sections[0] } })).data;
  assert.equal(block.id, record.attributes.sections[0]);
  assert.equal(block.relationships.creator, undefined);
  const everything = await all(dato.items.rawListPagedIterator({}, { perPage: 500 }));
  assert.deepEqual(everything.filter((one) => one.id === block.id), [block]);
});

// The client's guards say what a field of each type may hold.
const GUARDS = {
  boolean: 'Boolean', color: 'Color', date: 'Date', date_time: 'DateTime', file: 'File', float: 'Float',
  gallery: 'Gallery', integer: 'Integer', json: 'Json', lat_lon: 'LatLon', link: 'Link', links: 'Links',
  rich_text: 'RichText', seo: 'Seo', single_block: 'SingleBlock', slug: 'Slug', string: 'String',
  structured_text: 'StructuredText', text: 'Text', video: 'Video',
};

async function fieldsById() {
  const { included } = await dato.site.rawFind({ include: 'item_types,item_types.fields' });
  const byModel = new Map();
  for (const field of included.filter((one) => one.type === 'field')) {
    const model = field.relationships.item_type.data.id;
    byModel.set(model, [...(byModel.get(model) ?? []), field.attributes]);
  }
  return byModel;
}

// As of 5.8 the client's guard of files takes them for values by locale, and refuses every file. This is what it goes on
// to look for.
const FILE_MEMBERS = ['upload_id', 'alt', 'title', 'custom_data', 'focal_point', 'poster_time'];

function assertFieldsAreValid(entity, fields, suffix) {
  for (const field of fields) {
    const value = entity.attributes[field.api_key];
    if (['file', 'gallery'].includes(field.field_type)) {
      for (const file of [value].flat().filter((one) => one !== null)) assert.deepEqual(Object.keys(file), FILE_MEMBERS);
      continue;
    }
    const block = ['RichText', 'SingleBlock', 'StructuredText'].includes(GUARDS[field.field_type]);
    const guard = `is${field.localized ? 'Localized' : ''}${GUARDS[field.field_type]}FieldValue${block ? suffix : ''}`;
    assert.equal(typeof cma[guard], 'function', guard);
    assert.ok(cma[guard](value), `${guard} refuses ${entity.id}.${field.api_key}: ${JSON.stringify(value)?.slice(0, 300)}`);
  }
}

check('every field of every record holds what the client expects of its type', async () => {
  const fields = await fieldsById();
  for await (const record of dato.items.rawListPagedIterator({ version: 'current' }, { perPage: 500 })) {
    assertFieldsAreValid(record, fields.get(record.relationships.item_type.data.id), '');
  }
});

check('every field of every nested record, too', async () => {
  const fields = await fieldsById();
  for await (const record of dato.items.rawListPagedIterator({ version: 'current', nested: true }, { perPage: 30 })) {
    assertFieldsAreValid(record, fields.get(record.relationships.item_type.data.id), 'InNestedResponse');
  }
});

check('digits, trailing zeros and U+0000 arrive as they were written', async () => {
  const response = await fetch(`${url}/items?filter[type]=article&page[limit]=500&nested=false`, {
    headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'x-api-version': '3' },
  });
  const text = await response.text();
  for (const odd of ['12345678901234567890123', ':1.00', ':1e400', '0.1000000000000000055511151231257827', '\\u0000']) {
    assert.ok(text.includes(odd), odd);
  }
});

check('versions are listed newest first, each once, with one current', async () => {
  const record = await recordWithMostVersions();
  const versions = await all(dato.itemVersions.listPagedIterator(record.id, {}, { perPage: 2, concurrency: 3 }));
  const { total_count: total } = (await dato.itemVersions.rawList(record.id)).meta;
  assert.equal(versions.length, total);
  assert.equal(new Set(versions.map((version) => version.id)).size, total);
  assert.equal(versions[0].id, record.meta.current_version);
  assert.deepEqual(versions.filter((version) => version.meta.is_current).map((version) => version.id), [versions[0].id]);
  const times = versions.map((version) => Date.parse(version.meta.created_at));
  assert.deepEqual(times, times.toSorted((a, b) => b - a));
});

async function recordWithMostVersions() {
  let most = { total: 0 };
  for (const record of await dato.items.list({ filter: { type: 'article' }, page: { limit: 8 }, version: 'current' })) {
    const total = (await dato.itemVersions.rawList(record.id, { page: { limit: 1 } })).meta.total_count;
    if (total > most.total) most = { total, record };
  }
  return most.record;
}

check('a version is found by its id, with its record, model and editor', async () => {
  const [record] = await dato.items.list({ filter: { type: 'article' }, page: { limit: 1 }, version: 'current' });
  const version = await dato.itemVersions.find(record.meta.current_version);
  assert.equal(version.item.id, record.id);
  assert.equal(version.item_type.id, record.item_type.id);
  assert.ok(['account', 'user', 'sso_user', 'access_token', 'organization'].includes(version.editor.type));
  assert.deepEqual(version.title, record.title);
});

check('nested versions hold whole blocks', async () => {
  const [record] = await dato.items.list({ filter: { type: 'article' }, page: { limit: 1 }, order_by: 'id_ASC' });
  const [flat] = (await dato.itemVersions.rawList(record.id, { page: { limit: 1 } })).data;
  const [whole] = (await dato.itemVersions.rawList(record.id, { page: { limit: 1 }, nested: true })).data;
  assert.deepEqual(whole.attributes.sections.map((block) => block.id), flat.attributes.sections);
  assert.ok(whole.attributes.sections[0].attributes.words);
});

check('the interval in which a version was live agrees with its flag', async () => {
  const records = await dato.items.list({ filter: { type: 'article' }, page: { limit: 100 } });
  let live = 0;
  for (const record of records) {
    for (const { meta } of await dato.itemVersions.list(record.id, { page: { limit: 50 } })) {
      if (meta.published_from) assert.equal(meta.is_published, meta.published_until === null);
      if (meta.published_until) assert.ok(Date.parse(meta.published_from) <= Date.parse(meta.published_until));
      live += meta.is_published ? 1 : 0;
    }
  }
  assert.ok(live > 5);
});

check('what links to a record is told', async () => {
  const [author] = await dato.items.list({ filter: { type: 'author' } });
  const linking = await dato.items.references(author.id);
  assert.ok(linking.length > 0);
  assert.ok(linking.every((one) => one.author === author.id));
});

check('the current and the published state of a record are told together', async () => {
  const [updated] = await dato.items.list({ filter: { type: 'article', fields: { _status: { eq: 'updated' } } }, version: 'current' });
  const state = await dato.items.currentVsPublishedState(updated.id);
  const live = (await dato.itemVersions.list(updated.id, { page: { limit: 50 } })).find((version) => version.meta.is_published);
  assert.equal(state.published_version.id, live.id);
  assert.notEqual(live.id, updated.meta.current_version);
  assert.deepEqual(state.current_version_locales, Object.keys(updated.title));
  assert.equal(state.scheduled_publication, null);
});

check('assets are listed and found', async () => {
  const uploads = await all(dato.uploads.listPagedIterator({}, { perPage: 5 }));
  assert.equal(uploads.length, 12);
  const one = await dato.uploads.find(uploads[0].id);
  assert.equal(one.filename, uploads[0].filename);
  const [same] = await dato.uploads.list({ filter: { ids: one.id } });
  assert.equal(same.id, one.id);
});

check('workflows and their stages are listed', async () => {
  const [workflow] = await dato.workflows.list();
  assert.deepEqual(workflow.stages.map((stage) => stage.id), ['writing', 'reviewing', 'ready']);
  assert.equal((await dato.workflows.find(workflow.id)).stages.filter((stage) => stage.initial).length, 1);
});

check('all kinds of people are listed and found', async () => {
  const users = await dato.users.list();
  assert.ok(users.some((user) => user.full_name === 'Ben Writer'));
  assert.equal((await dato.users.find(users[0].id)).email, users[0].email);
  const [single] = await dato.ssoUsers.list();
  assert.equal((await dato.ssoUsers.find(single.id)).username, single.username);
  const tokens = await dato.accessTokens.list();
  assert.ok(tokens.some((one) => one.name === 'Full-access API token' && one.can_access_cma));
  assert.equal((await dato.accessTokens.find(tokens[0].id)).id, tokens[0].id);
  const { included } = await dato.site.rawFind({ include: 'account' });
  assert.equal(included[0].attributes.email, 'ada@example.com');
});

check('roles are listed and found', async () => {
  const roles = await dato.roles.list();
  const role = await dato.roles.find(roles[0].id);
  assert.equal(role.name, roles[0].name);
});

check('whoever the token speaks for is found', async () => {
  const me = await dato.users.findMe();
  assert.equal(me.type, 'access_token');
  const { included } = await dato.users.rawFindMe({ include: 'role' });
  assert.deepEqual(included.map((one) => one.type), ['role']);
  const [everything] = included[0].meta.final_permissions.positive_item_type_permissions;
  assert.equal(everything.action, 'all');
});

check('all ids are valid to the client', async () => {
  const records = await dato.items.list({ page: { limit: 200 } });
  const models = await dato.itemTypes.list();
  const fields = await dato.fields.list('article');
  const versions = await dato.itemVersions.list(records[0].id);
  for (const one of [...records, ...models, ...fields, ...versions]) assert.ok(cma.isValidId(one.id), one.id);
});

check('a page of none gives the count alone', async () => {
  const { data, meta } = await dato.items.rawList({ filter: { type: 'article' }, page: { limit: 0 } });
  const whole = await dato.items.list({ filter: { type: 'article' }, page: { limit: 500 } });
  assert.deepEqual(data, []);
  assert.equal(meta.total_count, whole.length);
});

await run();
