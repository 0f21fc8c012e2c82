// What every script of checks needs: a client for the simulator, the simulator's own controls, and the reporting.
//
// A script calls check(name, body) at its top level, name on the same line in single quotes (the tests read the names
// from the source), and ends with `await run()`. One JSON line a check goes to standard output.

import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { ApiError, buildClient } from '@datocms/cma-client-node';

export { assert, wait };

export const url = process.env.SIMULATOR_URL;
export const token = process.env.SIMULATOR_TOKEN;
const LONGEST_CHECK_MS = 25_000;

/** A client as a user of DatoCMS builds it; `options` go over ours. */
export function client(options = {}) {
  return buildClient({ apiToken: token, baseUrl: url, ...options });
}

/** A request of the simulator's controls, `/_simulator/…`. */
export async function control(path, body) {
  const response = await fetch(`${url}/_simulator/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

/** Everything that an iterator gives. */
export async function all(iterator) {
  const found = [];
  for await (const one of iterator) found.push(one);
  return found;
}

/** The ApiError that `promise` must end in, after looking for its code and status. */
export async function refused(promise, code, status, details) {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const found = error.findError(code, details);
    assert.ok(found, `wanted ${code}, got ${error.message}`);
    assert.equal(error.response.status, status);
    return error;
  }
  return assert.fail(`wanted ${code}, but it went well`);
}

/** Waits until `probe` returns something, and returns that. */
export async function eventually(probe, what) {
  for (let tries = 0; tries < 100; tries += 1) {
    const found = await probe();
    if (found) return found;
    await wait(50);
  }
  return assert.fail(`never came: ${what}`);
}

const checks = new Map();

/** Registers a check. */
export function check(name, body) {
  assert.ok(!checks.has(name), `two checks are called ${name}`);
  checks.set(name, body);
}

async function report(name, body) {
  const clock = new AbortController();
  const tooLong = wait(LONGEST_CHECK_MS, undefined, { signal: clock.signal }).then(
    () => assert.fail(`not done after ${LONGEST_CHECK_MS / 1000} s`),
    () => undefined,
  );
  let error = null;
  try {
    await Promise.race([body(), tooLong]);
  } catch (thrown) {
    error = thrown?.stack ?? String(thrown);
  }
  clock.abort();
  console.log(JSON.stringify({ check: name, error }));
}

/** Runs the checks: side by side, since most of their time is waiting, or `inTurn` where they would disturb each other. */
export async function run({ inTurn = false } = {}) {
  if (inTurn) {
    for (const [name, body] of checks) await report(name, body);
  } else {
    await Promise.all([...checks].map(([name, body]) => report(name, body)));
  }
  process.exit(0); // a check that hangs has been reported; it need not be waited for
}
