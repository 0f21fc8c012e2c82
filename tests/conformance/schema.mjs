// What an administrator does to models and fields, and what becomes of content.

import { assert, check, client, refused, run } from './harness.mjs';

const dato = client();
let made = 0;

/** A model with a field `title`, and a record in it. */
async function modelWithRecord() {
  made += 1;
  const model = await dato.itemTypes.create({ name: `Thing ${made}`, api_key: `thing_${made}`, draft_mode_active: true });
  const title = await dato.fields.create(model.id, { label: 'Title', api_key: 'title', field_type: 'string' });
  const record = await dato.items.create({ item_type: { type: 'item_type', id: model.id }, title: 'words' });
  return { model, title, record };
}

check('a model is created with what it was given', async () => {
  const model = await dato.itemTypes.create({ name: 'Blog post', api_key: 'blog_post', draft_mode_active: true, hint: 'a hint' });
  const found = await dato.itemTypes.find(model.id);
  assert.deepEqual([found.name, found.api_key, found.draft_mode_active, found.hint], ['Blog post', 'blog_post', true, 'a hint']);
  assert.deepEqual(found.fields, []);
  await refused(dato.itemTypes.create({ name: 'Other', api_key: 'blog_post' }), 'INVALID_FIELD', 422, { code: 'VALIDATION_UNIQUE' });
});

check('a model is changed', async () => {
  const { model } = await modelWithRecord();
  const changed = await dato.itemTypes.update(model.id, { name: 'Renamed' });
  assert.equal(changed.name, 'Renamed');
  assert.equal((await dato.itemTypes.find(model.id)).api_key, model.api_key);
});

check('a model goes with its records', async () => {
  const { model, record } = await modelWithRecord();
  await dato.itemTypes.destroy(model.id);
  await refused(dato.itemTypes.find(model.id), 'NOT_FOUND', 404);
  await refused(dato.items.find(record.id), 'NOT_FOUND', 404);
});

check('a field is created with what it was given, and is found with its model', async () => {
  const { model } = await modelWithRecord();
  const field = await dato.fields.create(model.id, {
    label: 'Body', api_key: 'body', field_type: 'text', localized: true, hint: 'long', validators: { required: {} },
  });
  assert.equal(field.localized, true);
  assert.deepEqual(field.validators, { required: {} });
  assert.ok(field.appearance.editor);
  const fields = await dato.fields.list(model.id);
  assert.deepEqual(fields.map((one) => one.api_key), ['title', 'body']);
  assert.deepEqual((await dato.itemTypes.find(model.id)).fields.map((one) => one.id), fields.map((one) => one.id));
});

check('a new field is empty in the records that are there', async () => {
  const { model, record } = await modelWithRecord();
  await dato.fields.create(model.id, { label: 'Note', api_key: 'note', field_type: 'string' });
  const updated = await dato.items.update(record.id, { title: 'new words' });
  assert.equal(updated.note, null);
});

check('a renamed field shows its content under the new key', async () => {
  const { title, record } = await modelWithRecord();
  const renamed = await dato.fields.update(title.id, { api_key: 'headline' });
  assert.equal(renamed.id, title.id);
  const found = await dato.items.find(record.id);
  assert.equal(found.headline, 'words');
  assert.ok(!('title' in found));
});

check('a removed field takes its content from every version', async () => {
  const { model, title, record } = await modelWithRecord();
  await dato.fields.destroy(title.id);
  assert.deepEqual(await dato.fields.list(model.id), []);
  const version = await dato.itemVersions.find(record.meta.current_version);
  assert.ok(!('title' in version));
  await refused(dato.fields.find(title.id), 'NOT_FOUND', 404);
});

check('a field of an unknown type is refused', async () => {
  const { model } = await modelWithRecord();
  await refused(dato.fields.create(model.id, { label: 'X', api_key: 'x', field_type: 'hologram' }), 'INVALID_ATTRIBUTES', 422);
});

check('a fieldset is made, changed and removed', async () => {
  const { model, title } = await modelWithRecord();
  const said = { title: 'Details', hint: 'a hint', collapsible: true, start_collapsed: true, position: 4 };
  const fieldset = await dato.fieldsets.create(model, said);
  const { title: name, hint, collapsible, start_collapsed, position } = await dato.fieldsets.find(fieldset);
  assert.deepEqual({ title: name, hint, collapsible, start_collapsed, position }, said);
  assert.deepEqual((await dato.itemTypes.find(model)).fieldsets.map((one) => one.id), [fieldset.id]);
  assert.equal((await dato.fieldsets.update(fieldset, { ...fieldset, title: 'More' })).title, 'More');
  const moved = await dato.fields.update(title, { fieldset: { type: 'fieldset', id: fieldset.id } });
  assert.equal(moved.fieldset.id, fieldset.id);
  await dato.fieldsets.destroy(fieldset);
  assert.deepEqual(await dato.fieldsets.list(model), []);
  assert.equal((await dato.fields.find(title)).fieldset, null);
});

check('a model is copied with its fields, and without its records', async () => {
  const { model, title } = await modelWithRecord();
  const copy = await dato.itemTypes.duplicate(model);
  assert.deepEqual([copy.name, copy.api_key], [`${model.name} (copy #1)`, `${model.api_key}_copy1`]);
  const [field] = await dato.fields.list(copy);
  assert.equal(field.api_key, 'title');
  assert.notEqual(field.id, title.id);
  assert.equal(copy.title_field.id, field.id);
  assert.deepEqual(await dato.items.list({ filter: { type: copy.id } }), []);
});

check('a field is copied, and the copy is empty', async () => {
  const { title, record } = await modelWithRecord();
  const copy = await dato.fields.duplicate(title);
  assert.deepEqual([copy.label, copy.api_key], ['Title (copy #1)', 'title_copy1']);
  const updated = await dato.items.update(record.id, { title: 'new words' });
  assert.equal(updated.title_copy1, null);
});

check('the first string of a model is its title, until somebody says otherwise', async () => {
  const { model, title } = await modelWithRecord();
  assert.equal((await dato.itemTypes.find(model)).title_field.id, title.id);
  const other = await dato.fields.create(model, { label: 'Other', api_key: 'other', field_type: 'string' });
  assert.equal((await dato.itemTypes.find(model)).title_field.id, title.id);
  assert.equal((await dato.itemTypes.update(model, { title_field: other })).title_field.id, other.id);
  await dato.fields.destroy(other);
  assert.equal((await dato.itemTypes.find(model)).title_field, null);
});

check('a model does not point to a field of another', async () => {
  const [one, other] = [await modelWithRecord(), await modelWithRecord()];
  await refused(dato.itemTypes.update(one.model, { title_field: other.title }), 'INVALID_FIELD', 422, { field: 'title_field' });
});

check('what happens to the schema moves the beacon', async () => {
  const before = Date.parse((await dato.site.find()).last_data_change_at);
  await modelWithRecord();
  assert.ok(Date.parse((await dato.site.find()).last_data_change_at) >= before);
});

await run();
