// Environments: forked, changed apart, promoted, renamed, destroyed. In turn, since each moves what others stand on.

import { assert, check, client, control, eventually, refused, run } from './harness.mjs';

const dato = client();

check('the primary environment is listed and found', async () => {
  const environments = await dato.environments.list();
  assert.deepEqual(environments.map((one) => [one.id, one.meta.primary, one.meta.status]), [['main', true, 'ready']]);
  const main = await dato.environments.find('main');
  assert.ok(main.meta.last_data_change_at);
  assert.equal(main.meta.forked_from, null);
  assert.equal(main.meta.read_only_mode, false);
});

check('a fork has the same records under the same ids', async () => {
  const fork = await dato.environments.fork('main', { id: 'sandbox' });
  assert.equal(fork.meta.forked_from, 'main');
  assert.equal(fork.meta.primary, false);
  const there = await client({ environment: 'sandbox' }).items.list({ page: { limit: 500 } });
  const here = await dato.items.list({ page: { limit: 500 } });
  assert.deepEqual(there.map((one) => one.id).toSorted(), here.map((one) => one.id).toSorted());
});

check('what is changed in a fork stays there', async () => {
  const sandbox = client({ environment: 'sandbox' });
  const [article] = await dato.items.list({ filter: { type: 'article' }, page: { limit: 1 } });
  await sandbox.items.update(article.id, { reads: 4242 });
  assert.equal((await sandbox.items.find(article.id)).reads, 4242);
  assert.notEqual((await dato.items.find(article.id)).reads, 4242);
  const beacons = await Promise.all(['main', 'sandbox'].map((id) => dato.environments.find(id)));
  assert.ok(beacons[0].meta.last_data_change_at < beacons[1].meta.last_data_change_at);
});

check('a fork that is still being made says how far it is', async () => {
  await control('switches', { fork_duration: 3600 });
  await dato.environments.fork('main', { id: 'slow' }, { immediate_return: true });
  const slow = await dato.environments.find('slow');
  assert.equal(slow.meta.status, 'creating');
  assert.equal(typeof slow.meta.fork_completion_percentage, 'number');
  await refused(client({ environment: 'slow' }).items.list(), 'ENVIRONMENT_NOT_READY', 422);
  await control('clock', { advance_seconds: 3600 });
  await eventually(async () => (await dato.environments.find('slow')).meta.status === 'ready', 'a fork that is ready');
  await control('switches', { fork_duration: 0 });
  await dato.environments.destroy('slow');
});

check('an environment is renamed', async () => {
  const renamed = await dato.environments.rename('sandbox', { id: 'next' });
  assert.equal(renamed.id, 'next');
  await refused(dato.environments.find('sandbox'), 'NOT_FOUND', 404);
});

check('another environment is promoted, and is what a client without one sees', async () => {
  const promoted = await dato.environments.promote('next');
  assert.equal(promoted.meta.primary, true);
  assert.equal((await dato.environments.find('main')).meta.primary, false);
  const articles = await dato.items.list({ filter: { type: 'article' }, page: { limit: 100 } });
  assert.ok(articles.some((one) => one.reads === 4242));
});

check('the primary environment cannot be destroyed, others can', async () => {
  await assert.rejects(dato.environments.destroy('next'));
  await dato.environments.destroy('main');
  assert.deepEqual((await dato.environments.list()).map((one) => one.id), ['next']);
  await refused(client({ environment: 'main' }).site.find(), 'INVALID_ENVIRONMENT', 404);
});

await run({ inTurn: true });
