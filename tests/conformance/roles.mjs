// Roles and API tokens: what is made of them, and what a narrow token then finds.

import { assert, check, client, control, refused, run } from './harness.mjs';

const dato = client();
const reading = { environment: 'main', action: 'read', on_creator: 'anyone' };
const access = { can_access_cda: false, can_access_cda_preview: false, can_access_cma: true };

/** A client whose token has a role that may do what `lists` say. */
async function clientThatMay(name, lists) {
  const role = await dato.roles.create({ name, environments_access: 'all', ...lists });
  const made = await dato.accessTokens.create({ name, ...access, role: { type: 'role', id: role.id } });
  return client({ apiToken: made.token, autoRetry: false });
}

check('a project begins with two roles', async () => {
  const names = (await dato.roles.list()).map((role) => role.name);
  assert.ok(names.includes('Admin') && names.includes('Editor'), names.join());
});

check('a role is made, changed, copied and removed', async () => {
  const role = await dato.roles.create({
    name: 'Translator', can_edit_site: true, positive_item_type_permissions: [reading], negative_item_type_permissions: [],
  });
  assert.deepEqual(role.positive_item_type_permissions, [reading]);
  assert.deepEqual([role.can_edit_site, role.can_edit_schema], [true, false]);
  const changed = await dato.roles.update(role, { ...role, name: 'Proofreader' });
  assert.equal(changed.name, 'Proofreader');
  assert.deepEqual(changed.positive_item_type_permissions, [reading]);
  const copy = await dato.roles.duplicate(role);
  assert.equal(copy.name, 'Proofreader (copy #1)');
  await dato.roles.destroy(role);
  await dato.roles.destroy(copy);
  await refused(dato.roles.find(role), 'NOT_FOUND', 404);
});

check('permissions of the present environment are added and removed', async () => {
  const role = await dato.roles.create({
    name: 'Author', positive_item_type_permissions: [reading], negative_item_type_permissions: [],
  });
  const changed = await dato.roles.updateCurrentEnvironmentPermissions(role, {
    positive_item_type_permissions: {
      remove: [{ action: 'read', on_creator: 'anyone' }],
      add: [{ action: 'create', localization_scope: 'all' }],
    },
  });
  assert.deepEqual(changed.positive_item_type_permissions.map((one) => one.action), ['create']);
});

check('a role inherits from another', async () => {
  const parent = await dato.roles.create({
    name: 'Parent', can_manage_webhooks: true, positive_item_type_permissions: [reading], negative_item_type_permissions: [],
  });
  const heir = await dato.roles.create({ name: 'Heir', inherits_permissions_from: [{ type: 'role', id: parent.id }] });
  assert.equal(heir.can_manage_webhooks, false);
  assert.equal(heir.meta.final_permissions.can_manage_webhooks, true);
  assert.deepEqual(heir.meta.final_permissions.positive_item_type_permissions, [reading]);
  await refused(dato.roles.destroy(parent), 'DELETE_RESTRICTION', 422);
});

check('a role with one list of two is refused', async () => {
  await refused(dato.roles.create({ name: 'Half', positive_item_type_permissions: [reading] }), 'INVALID_FORMAT', 422);
});

check('a token sees the models that its role lets it read', async () => {
  const article = await dato.itemTypes.find('article');
  const narrow = await clientThatMay('No articles', {
    positive_item_type_permissions: [reading],
    negative_item_type_permissions: [{ ...reading, item_type: article.id }],
  });
  assert.ok((await narrow.items.list({ filter: { type: 'author' } })).length > 0);
  const [one] = await dato.items.list({ filter: { type: 'article' }, page: { limit: 1 } });
  await refused(narrow.items.find(one.id), 'NOT_FOUND', 404);
  await refused(narrow.itemTypes.update('author', { name: 'X' }), 'INSUFFICIENT_PERMISSIONS', 401);
  const [author] = await narrow.items.list({ filter: { type: 'author' }, page: { limit: 1 } });
  await refused(narrow.items.update(author.id, { name: 'X' }), 'INSUFFICIENT_PERMISSIONS', 401);
});

check('a token without permissions reads nothing', async () => {
  const blind = await clientThatMay('Blind', {});
  const [author] = await dato.items.list({ filter: { type: 'author' }, page: { limit: 1 } });
  await refused(blind.items.find(author.id), 'NOT_FOUND', 404);
  assert.deepEqual(await blind.items.list({ page: { limit: 5 } }), []);
});

check('a token is made, changed and removed', async () => {
  const [admin] = await dato.roles.list();
  const token = await dato.accessTokens.create({ name: 'Build', ...access, role: { type: 'role', id: admin.id } });
  const own = client({ apiToken: token.token });
  assert.equal((await own.users.findMe()).id, token.id);
  assert.equal((await dato.accessTokens.find(token)).last_cma_access, 'today');
  const changed = await dato.accessTokens.update(token, { name: 'Deploy', ...access, can_access_cma: false });
  assert.deepEqual([changed.name, changed.token, changed.role.id], ['Deploy', token.token, admin.id]);
  await refused(own.site.find(), 'INSUFFICIENT_PERMISSIONS', 401);
  await dato.accessTokens.destroy(token);
  await refused(own.site.find(), 'INVALID_AUTHORIZATION_HEADER', 401);
  await refused(dato.accessTokens.find(token), 'NOT_FOUND', 404);
});

check('a token gets another secret', async () => {
  const [admin] = await dato.roles.list();
  const token = await dato.accessTokens.create({ name: 'Rotated', ...access, role: { type: 'role', id: admin.id } });
  const { token: secret } = await dato.accessTokens.regenerateToken(token);
  assert.notEqual(secret, token.token);
  await client({ apiToken: secret }).site.find();
  await refused(client({ apiToken: token.token }).site.find(), 'INVALID_AUTHORIZATION_HEADER', 401);
});

check('what a removed token made is given to somebody else', async () => {
  const [admin] = await dato.roles.list();
  const token = await dato.accessTokens.create({ name: 'Importer', ...access, role: { type: 'role', id: admin.id } });
  const author = await dato.itemTypes.find('author');
  const record = await client({ apiToken: token.token }).items.create({ item_type: { type: 'item_type', id: author.id }, name: 'N' });
  assert.equal(record.creator.id, token.id);
  const { account } = await dato.site.find();
  await dato.accessTokens.destroy(token, { destination_user_type: 'account', destination_user_id: account.id });
  assert.equal((await dato.items.find(record.id)).creator.id, account.id);
});

check('a project can be made with a token of choice', async () => {
  const apiToken = 'a-token-of-choice';
  const { token } = await control('projects', { token: apiToken });
  assert.equal(token, apiToken);
  assert.deepEqual(await client({ apiToken }).itemTypes.list(), []);
  await assert.rejects(control('projects', { token: apiToken }), /taken/);
});

await run();
