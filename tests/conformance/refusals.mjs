// What is refused, and how the client understands it; what it tries again by itself.

import { ApiError, TimeoutError } from '@datocms/cma-client-node';
import { assert, check, client, control, refused, run, token, url } from './harness.mjs';

const dato = client();
const [article] = await dato.items.list({ filter: { type: 'article' }, page: { limit: 1 } });
const articles = (await dato.items.list({ filter: { type: 'article' }, page: { limit: 20 } })).map((one) => one.id);

check('an error has a code, details, an address of its documentation, and an id', async () => {
  const error = await refused(dato.items.find('nowhere'), 'NOT_FOUND', 404);
  const [one] = error.errors;
  assert.equal(one.type, 'api_error');
  assert.ok(one.id);
  assert.match(one.attributes.doc_url, /^https:/);
  assert.equal(typeof one.attributes.details, 'object');
  assert.equal(one.attributes.transient, undefined);
  assert.match(error.message, /404/);
});

check('a wrong token and a missing one are told apart from a lack of permission', async () => {
  await refused(client({ apiToken: 'wrong' }).site.find(), 'INVALID_AUTHORIZATION_HEADER', 401);
  await refused(client({ apiToken: null }).site.find(), 'INVALID_AUTHORIZATION_HEADER', 401);
  await refused(client({ apiToken: 'no-cma' }).site.find(), 'INSUFFICIENT_PERMISSIONS', 401);
});

check('a role that may not read versions says so, and still reads records', async () => {
  const limited = client({ apiToken: 'no-versions' });
  await refused(limited.itemVersions.list(article.id), 'INSUFFICIENT_PERMISSIONS', 401);
  assert.equal((await limited.items.find(article.id)).id, article.id);
});

check('a role that may not write says so', async () => {
  const limited = client({ apiToken: 'read-only' });
  await refused(limited.items.update(article.id, { reads: 1 }), 'INSUFFICIENT_PERMISSIONS', 401);
  await refused(limited.itemTypes.create({ name: 'X', api_key: 'x' }), 'INSUFFICIENT_PERMISSIONS', 401);
});

check('a role that may not see people says so', async () => {
  const limited = client({ apiToken: 'no-users' });
  await refused(limited.users.list(), 'INSUFFICIENT_PERMISSIONS', 401);
  await refused(limited.ssoUsers.list(), 'INSUFFICIENT_PERMISSIONS', 401);
  await refused(limited.accessTokens.list(), 'INSUFFICIENT_PERMISSIONS', 401);
});

check('records that a role may not read are not there', async () => {
  const limited = client({ apiToken: 'no-articles' });
  const everything = await limited.items.list({ page: { limit: 500 } });
  assert.ok(everything.length > 0);
  assert.ok(everything.every((one) => one.item_type.id !== article.item_type.id));
  await refused(limited.items.find(article.id), 'NOT_FOUND', 404);
});

check('an unknown environment is refused', async () => {
  await refused(client({ environment: 'elsewhere' }).items.list(), 'INVALID_ENVIRONMENT', 404);
});

check('an unknown endpoint is refused', async () => {
  await refused(dato.request({ method: 'GET', url: '/no-such-thing' }), 'INVALID_ENDPOINT', 404);
});

check('queries that make no sense are refused', async () => {
  await refused(dato.items.list({ page: { limit: 501 } }), 'INVALID_PARAMS', 422);
  await refused(dato.items.list({ nested: true, page: { limit: 31 } }), 'INVALID_PARAMS', 422);
  await refused(dato.itemVersions.list(article.id, { page: { limit: 51 } }), 'INVALID_PARAMS', 422);
  await refused(dato.items.list({ order_by: 'id_ASC' }), 'INVALID_ORDERING', 422);
  await refused(dato.items.list({ filter: { type: 'article', fields: { no_such: { eq: 1 } } } }), 'INVALID_FILTER_FIELDS_PARAM', 422);
});

check('bodies that make no sense are refused', async () => {
  const send = async (body, type = 'application/json') => {
    const response = await fetch(`${url}/items`, {
      method: 'POST', body, headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'content-type': type, 'x-api-version': '3' },
    });
    return [response.status, (await response.json()).data[0].attributes.code];
  };
  assert.deepEqual(await send('{"data":'), [422, 'INVALID_JSON_BODY']);
  assert.deepEqual(await send('{"data": []}'), [422, 'INVALID_FORMAT']);
  assert.deepEqual(await send('{}', 'text/plain'), [415, 'INVALID_CONTENT_TYPE_HEADER']);
  await refused(dato.items.create({ item_type: { type: 'item_type', id: 'none' }, title: 'x' }), 'ITEM_TYPE_NOT_FOUND', 422);
  await refused(dato.items.update(article.id, { no_such_field: 1 }), 'INVALID_ATTRIBUTES', 422);
  await refused(dato.items.create({ id: 'too short', item_type: article.item_type, title: { en: 'x' } }), 'INVALID_ENTITY_ID', 422);
});

check('every answer says which environment and request it is of', async () => {
  const response = await fetch(`${url}/site`, { headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'x-api-version': '3' } });
  assert.equal(response.headers.get('x-api-version'), '3');
  assert.equal(response.headers.get('x-environment'), 'main');
  assert.ok(response.headers.get('x-request-id'));
  assert.match(response.headers.get('content-type'), /^application\/json/);
  assert.ok(Math.abs(Date.parse(response.headers.get('date')) - Date.now()) < 60_000);
});

check('a gateway that answers with HTML is asked again', async () => {
  await control('faults', { plant: [{ kind: 'bad_gateway', path: `/items/${articles[1]}$` }] });
  assert.equal((await dato.items.find(articles[1])).id, articles[1]);
});

check('an error marked transient is tried again', async () => {
  await control('faults', { plant: [{ kind: 'unavailable', path: `/items/${articles[2]}$` }] });
  assert.equal((await dato.items.find(articles[2])).id, articles[2]);
});

check('an internal error is told at once', async () => {
  await control('faults', { plant: [{ kind: 'internal_error', path: `/items/${articles[3]}$` }] });
  await refused(dato.items.find(articles[3]), 'EXCEPTION', 500);
});

/** A client that does not try again. */
function hasty(options = {}) {
  return client({ autoRetry: false, ...options });
}

check('a client that is told not to try again does not', async () => {
  await control('faults', { plant: [{ kind: 'unavailable', path: `/items/${articles[4]}$` }] });
  const error = await hasty().items.find(articles[4]).catch((thrown) => thrown);
  assert.ok(error instanceof ApiError);
  assert.equal(error.errors[0].attributes.transient, true);
});

check('an answer that takes too long is a timeout', async () => {
  await control('faults', { plant: [{ kind: 'stall', path: `/items/${articles[5]}$`, seconds: 3 }] });
  const error = await hasty({ requestTimeout: 300 }).items.find(articles[5]).catch((thrown) => thrown);
  assert.ok(error instanceof TimeoutError, String(error));
});

check('a job that is not ready is asked for again', async () => {
  await refused(dato.jobResults.find('none-such'), 'NOT_FOUND', 404);
  await control('switches', { job_delay: 1.5 }); // the client asks after one second, and after two more
  const response = await fetch(`${url}/items/${articles[6]}/duplicate`, {
    method: 'POST', headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'x-api-version': '3' },
  });
  const { data: job } = await response.json();
  assert.deepEqual([response.status, job.type], [202, 'job']);
  await refused(dato.jobResults.find(job.id), 'NOT_FOUND', 404);
  const twin = await dato.items.duplicate(articles[6]);
  assert.notEqual(twin.id, articles[6]);
});

await run();
