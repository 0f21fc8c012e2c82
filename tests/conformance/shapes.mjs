// Every kind of answer, put before a compiler with the types that DatoCMS publishes for it: nothing is missing, nothing
// is of another type, and nothing is there that the types do not know.

import ts from 'typescript';
import { assert, client, run, check } from './harness.mjs';

const dato = client();
const answers = new Map(); // name -> { type, body } or { problem }

/** Registers a check: what `ask` is answered with has the type `type` of DatoCMS's RawApiTypes. */
function shape(name, type, ask) {
  answers.set(name, { type, ask });
}

const list = async (type, query = {}) => (await dato.items.rawList({ filter: { type }, page: { limit: 30 }, version: 'current', ...query })).data;
const [article] = await list('article', { filter: { type: 'article', fields: { _status: { eq: 'updated' } } } });
const models = Object.fromEntries((await dato.itemTypes.list()).map((model) => [model.api_key, model]));

const written = { item_type: { data: { type: 'item_type', id: models.article.id } } };
const write = () => dato.items.rawCreate({ data: { type: 'item', attributes: { title: { en: 'Hello' } }, relationships: written } });
const pointer = ({ data: { id } }) => ({ type: 'item', id });
const newFieldset = () => dato.fieldsets.rawCreate(models.page.id, { data: { type: 'fieldset', attributes: { title: 'Details' } } });
const reading = { environment: 'main', action: 'read', on_creator: 'anyone' };
const newRole = () => dato.roles.rawCreate({
  data: { type: 'role', attributes: { name: 'Reader', positive_item_type_permissions: [reading], negative_item_type_permissions: [] } },
});
const newToken = async () => dato.accessTokens.rawCreate({
  data: {
    type: 'access_token',
    attributes: { name: 'Build', can_access_cda: true, can_access_cda_preview: false, can_access_cma: false },
    relationships: { role: { data: { type: 'role', id: (await newRole()).data.id } } },
  },
});
const later = '2099-01-01T00:00:00Z';
const sentFile = async () => {
  const { id, url } = await dato.uploadRequest.create({ filename: 'a.txt' });
  await fetch(url, { method: 'PUT', body: 'hello' });
  return id;
};
const hook = {
  name: 'hook', url: 'http://127.0.0.1:9/', headers: {}, http_basic_user: null, http_basic_password: null, custom_payload: null,
  events: [{ entity_type: 'item', event_types: ['create'] }], auto_retry: true,
};

shape('the site', 'SiteSelfTargetSchema', () => dato.site.rawFind());
shape('the site with the schema', 'SiteSelfTargetSchema', () => dato.site.rawFind({ include: 'item_types,item_types.fields' }));
shape('the changed site', 'SiteUpdateJobSchema', () =>
  dato.site.rawUpdate({ data: { type: 'site', attributes: { timezone: 'UTC' } } }));
shape('the limits of the plan', 'SubscriptionLimitInstancesTargetSchema', () => dato.subscriptionLimits.rawList());
shape('a limit of the plan', 'SubscriptionLimitSelfTargetSchema', () => dato.subscriptionLimits.rawFind('items'));
shape('the features of the plan', 'SubscriptionFeatureInstancesTargetSchema', () => dato.subscriptionFeatures.rawList());
shape('the environments', 'EnvironmentInstancesTargetSchema', () => dato.environments.rawList());
shape('an environment', 'EnvironmentSelfTargetSchema', () => dato.environments.rawFind('main'));
shape('a forked environment', 'EnvironmentForkJobSchema', () => dato.environments.rawFork('main', { data: { type: 'environment', id: 'fork' } }));
shape('the models', 'ItemTypeInstancesTargetSchema', () => dato.itemTypes.rawList());
shape('a model', 'ItemTypeSelfTargetSchema', () => dato.itemTypes.rawFind('article'));
shape('a new model', 'ItemTypeCreateTargetSchema', () =>
  dato.itemTypes.rawCreate({ data: { type: 'item_type', attributes: { name: 'Shape', api_key: 'shape' } } }));
shape('a changed model', 'ItemTypeUpdateJobSchema', () =>
  dato.itemTypes.rawUpdate(models.page.id, { data: { type: 'item_type', id: models.page.id, attributes: { name: 'Pages' } } }));
shape('the fields of articles', 'FieldInstancesTargetSchema', () => dato.fields.rawList('article'));
shape('the fields of a block', 'FieldInstancesTargetSchema', () => dato.fields.rawList('columns'));
shape('a field', 'FieldSelfTargetSchema', async () => dato.fields.rawFind((await dato.fields.list('article'))[0].id));
shape('a new field', 'FieldCreateJobSchema', () =>
  dato.fields.rawCreate(models.author.id, { data: { type: 'field', attributes: { label: 'X', api_key: 'x', field_type: 'boolean' } } }));
shape('a copied field', 'FieldDuplicateJobSchema', async () => dato.fields.rawDuplicate((await dato.fields.list('quote'))[0].id));
shape('a copied model', 'ItemTypeDuplicateTargetSchema', () => dato.itemTypes.rawDuplicate('homepage'));
shape('a new fieldset', 'FieldsetCreateTargetSchema', newFieldset);
shape('a changed fieldset', 'FieldsetUpdateTargetSchema', async () => {
  const { data } = await newFieldset();
  return dato.fieldsets.rawUpdate(data.id, { data: { type: 'fieldset', id: data.id, attributes: { title: 'More' } } });
});
shape('fieldsets', 'FieldsetInstancesTargetSchema', async () => {
  await newFieldset();
  return dato.fieldsets.rawList(models.page.id);
});
shape('a removed fieldset', 'FieldsetDestroyTargetSchema', async () => dato.fieldsets.rawDestroy((await newFieldset()).data.id));
shape('records', 'ItemInstancesTargetSchema', () => dato.items.rawList({ page: { limit: 100 }, version: 'current' }));
shape('nested records', 'ItemInstancesTargetSchema<ItemTypeDefinition, true>', () => dato.items.rawList({ nested: true, version: 'current' }));
shape('block records', 'ItemInstancesTargetSchema', () => dato.items.rawList({ filter: { type: 'quote' }, version: 'current' }));
shape('a record', 'ItemSelfTargetSchema', () => dato.items.rawFind(article.id));
shape('a nested record', 'ItemSelfTargetSchema<ItemTypeDefinition, true>', () => dato.items.rawFind(article.id, { nested: true }));
shape('a new record', 'ItemCreateTargetSchema', write);
shape('a changed record', 'ItemUpdateTargetSchema', async () =>
  dato.items.rawUpdate((await write()).data.id, { data: { type: 'item', attributes: { reads: 1 } } }));
shape('a published record', 'ItemPublishTargetSchema', async () => dato.items.rawPublish((await write()).data.id));
shape('an unpublished record', 'ItemUnpublishTargetSchema', async () => dato.items.rawUnpublish((await write()).data.id));
shape('a duplicated record', 'ItemDuplicateJobSchema', async () => dato.items.rawDuplicate((await write()).data.id));
shape('a deleted record', 'ItemDestroyJobSchema', async () => dato.items.rawDestroy((await write()).data.id));
shape('records published at once', 'ItemBulkPublishJobSchema', async () =>
  dato.items.rawBulkPublish({ data: { type: 'item_bulk_publish_operation', relationships: { items: { data: [pointer(await write())] } } } }));
shape('records that link to a record', 'ItemReferencesTargetSchema', () => dato.items.rawReferences(article.attributes.author));
shape('the current and the published state', 'ItemCurrentVsPublishedStateTargetSchema', () => dato.items.rawCurrentVsPublishedState(article.id));
shape('a planned publication', 'ScheduledPublicationCreateTargetSchema', async () =>
  dato.scheduledPublication.rawCreate((await write()).data.id, {
    data: { type: 'scheduled_publication', attributes: { publication_scheduled_at: later, selective_publication: null } },
  }));
shape('a planned unpublishing', 'ScheduledUnpublishingCreateTargetSchema', async () =>
  dato.scheduledUnpublishing.rawCreate((await write()).data.id, {
    data: { type: 'scheduled_unpublishing', attributes: { unpublishing_scheduled_at: later, content_in_locales: null } },
  }));
shape('a plan that was given up', 'ScheduledPublicationDestroyTargetSchema', async () => {
  const { data } = await write();
  await dato.scheduledPublication.create(data.id, { publication_scheduled_at: later });
  return dato.scheduledPublication.rawDestroy(data.id);
});
shape('versions', 'ItemVersionInstancesTargetSchema', () => dato.itemVersions.rawList(article.id));
shape('nested versions', 'ItemVersionInstancesTargetSchema', () => dato.itemVersions.rawList(article.id, { nested: true }));
shape('a version', 'ItemVersionSelfTargetSchema', () => dato.itemVersions.rawFind(article.meta.current_version));
shape('a restored version', 'ItemVersionRestoreJobSchema', async () => dato.itemVersions.rawRestore((await write()).data.meta.current_version));
shape('collaborators', 'UserInstancesTargetSchema', () => dato.users.rawList());
shape('single sign-on users', 'SsoUserInstancesTargetSchema', () => dato.ssoUsers.rawList());
shape('access tokens', 'AccessTokenInstancesTargetSchema', () => dato.accessTokens.rawList());
shape('a new access token', 'AccessTokenCreateTargetSchema', newToken);
shape('a renewed access token', 'AccessTokenRegenerateTokenTargetSchema', async () =>
  dato.accessTokens.rawRegenerateToken((await newToken()).data.id));
shape('a removed access token', 'AccessTokenDestroyTargetSchema', async () => dato.accessTokens.rawDestroy((await newToken()).data.id));
shape('roles', 'RoleInstancesTargetSchema', () => dato.roles.rawList());
shape('a new role', 'RoleCreateTargetSchema', newRole);
shape('a copied role', 'RoleDuplicateTargetSchema', async () => dato.roles.rawDuplicate((await newRole()).data.id));
shape('a removed role', 'RoleDestroyTargetSchema', async () => dato.roles.rawDestroy((await newRole()).data.id));
shape('whoever asks', 'UserMeTargetSchema', () => dato.users.rawFindMe({ include: 'role' }));
shape('uploads', 'UploadInstancesTargetSchema', () => dato.uploads.rawList());
shape('an upload', 'UploadSelfTargetSchema', async () => dato.uploads.rawFind((await dato.uploads.list())[0].id));
shape('an upload request', 'UploadRequestCreateTargetSchema', () =>
  dato.uploadRequest.rawCreate({ data: { type: 'upload_request', attributes: { filename: 'a.txt' } } }));
shape('a new upload', 'UploadCreateJobSchema', async () =>
  dato.uploads.rawCreate({ data: { type: 'upload', attributes: { path: await sentFile() } } }));
shape('a changed upload', 'UploadUpdateJobSchema', async () => {
  const { data: { id } } = await dato.uploads.rawCreate({ data: { type: 'upload', attributes: { path: await sentFile() } } });
  return dato.uploads.rawUpdate(id, { data: { type: 'upload', id, attributes: { notes: 'n' } } });
});
shape('a destroyed upload', 'UploadDestroyTargetSchema', async () => {
  const { data: { id } } = await dato.uploads.rawCreate({ data: { type: 'upload', attributes: { path: await sentFile() } } });
  return dato.uploads.rawDestroy(id);
});
shape('workflows', 'WorkflowInstancesTargetSchema', () => dato.workflows.rawList());
shape('a new webhook', 'WebhookCreateTargetSchema', () => dato.webhooks.rawCreate({ data: { type: 'webhook', attributes: hook } }));
shape('webhooks', 'WebhookInstancesTargetSchema', async () => {
  await dato.webhooks.create(hook);
  return dato.webhooks.rawList();
});
shape('calls of webhooks', 'WebhookCallInstancesTargetSchema', async () => {
  await dato.webhooks.create(hook);
  await write();
  return dato.webhookCalls.rawList();
});
shape('the maintenance mode', 'MaintenanceModeSelfTargetSchema', () => dato.maintenanceMode.rawFind());
shape('the audit log', 'AuditLogEventQueryTargetSchema', async () => {
  await write();
  return dato.auditLogEvents.rawQuery({ data: { type: 'audit_log_query', attributes: { detailed_log: true } } });
});
shape('the audit log in short', 'AuditLogEventQueryTargetSchema', () =>
  dato.auditLogEvents.rawQuery({ data: { type: 'audit_log_query', attributes: {} } }));
shape('daily usages', 'DailyUsageInstancesTargetSchema', () => dato.dailyUsages.rawList());
shape('a usage counter', 'UsageCounterSelfTargetSchema', () => dato.usageCounters.rawFind('cma_user_requests', { period: 'today' }));

/** The complaints of the compiler about each of `literals`, in their order. */
function complaints(literals) {
  // One a line, also for a compiler to which U+2028 ends a line.
  const literal = (body) => JSON.stringify(body).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  const lines = literals.map(({ type, body }, number) => `export const answer${number}: Raw.${type} = ${literal(body)};`);
  const source = [
    "import type { ItemTypeDefinition, RawApiTypes as Raw } from '@datocms/cma-client-node';", ...lines, '',
  ].join('\n');
  const options = {
    strict: true, noEmit: true, skipLibCheck: true, types: [],
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  const name = new URL('answers.ts', import.meta.url).pathname; // only in memory
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  const file = ts.createSourceFile(name, source, options.target);
  host.getSourceFile = (path, ...more) => (path === name ? file : getSourceFile.call(host, path, ...more));
  host.fileExists = (path) => path === name || fileExists.call(host, path);
  host.readFile = (path) => (path === name ? source : readFile.call(host, path));
  const program = ts.createProgram([name], options, host);
  const found = literals.map(() => []);
  for (const complaint of [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]) {
    const { line } = file.getLineAndCharacterOfPosition(complaint.start);
    const near = source.slice(complaint.start, complaint.start + 120);
    found[line - 1].push(`${ts.flattenDiagnosticMessageText(complaint.messageText, '\n')}\nat ${near}`);
  }
  return found;
}

const asked = [...answers];
const bodies = await Promise.allSettled(asked.map(([, { ask }]) => ask()));
const good = asked.map(([name, { type }], number) => ({ name, type, ...bodies[number] })).filter((one) => one.status === 'fulfilled');
const found = complaints(good.map(({ type, value }) => ({ type, body: value })));
for (const [number, [name]] of asked.entries()) {
  check(name, () => {
    if (bodies[number].status === 'rejected') throw bodies[number].reason;
    const complaints = found[good.findIndex((one) => one.name === name)];
    assert.ok(complaints.length === 0, complaints.slice(0, 3).join('\n\n'));
  });
}
await run();
