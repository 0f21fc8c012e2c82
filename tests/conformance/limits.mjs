// The rate limit (here 20 requests in 3 s), as the client meets it.

import { ApiError } from '@datocms/cma-client-node';
import { assert, check, client, run, token, url, wait } from './harness.mjs';

check('the headers count down', async () => {
  const ask = () => fetch(`${url}/site`, { headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'x-api-version': '3' } });
  const [one, two] = [await ask(), await ask()];
  assert.equal(one.headers.get('x-ratelimit-limit'), '20');
  assert.equal(Number(one.headers.get('x-ratelimit-remaining')) - Number(two.headers.get('x-ratelimit-remaining')), 1);
  assert.equal(one.headers.get('x-ratelimit-reset'), null);
});

check('a client that does not try again is told when to come back', async () => {
  await wait(3000);
  const hasty = client({ autoRetry: false });
  const results = await Promise.allSettled(Array.from({ length: 25 }, () => hasty.site.find()));
  const refusals = results.filter((one) => one.status === 'rejected').map((one) => one.reason);
  assert.equal(refusals.length, 5);
  for (const error of refusals) {
    assert.ok(error instanceof ApiError);
    assert.equal(error.response.status, 429);
    assert.ok(Number(error.response.headers['x-ratelimit-reset']) >= 1);
    assert.equal(error.response.headers['x-ratelimit-remaining'], '0');
  }
});

check('a client that tries again gets through', async () => {
  const sites = await Promise.all(Array.from({ length: 30 }, () => client().site.find()));
  assert.equal(new Set(sites.map((site) => site.id)).size, 1);
});

await run({ inTurn: true });
