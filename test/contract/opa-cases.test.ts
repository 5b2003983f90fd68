import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { CASES, type Case, INSTANCES } from './opa-cases/case.ts';
import { differences } from './opa-cases/differences.ts';
import { documentedDifferences } from './opa-cases/documented.ts';
import { type Reply, type Request, send } from './opa-cases/send.ts';
import { type Servers, startServers } from './opa-cases/servers.ts';

/** The sidecar answers OPA's REST API as OPA does, but where docs/opa-compatibility.md says otherwise. */
const documented = new Map(documentedDifferences().map((row) => [row.name, row]));

let servers: Servers;

beforeAll(async () => {
  servers = await startServers(INSTANCES);
}, BRING_TIMEOUT_MS);

afterAll(() => servers?.stop());

/** What a case finds there already; of OPA alone, since nothing can be written to the sidecar. */
const BEFORE: Record<string, Request> = {
  'data put if-none-match': { method: 'PUT', path: '/v1/data/tmp/a/b/c', body: '0' },
  'data delete missing': { method: 'DELETE', path: '/v1/data/tmp' },
  'data patch bad op': { method: 'PUT', path: '/v1/data/tmp', body: '{}' },
};

/**
 * OPA keeps gzip readers for reuse, and hangs up on a body that is none if it is the first that a new reader is given: it
 * closes what was never opened. Whether there is a used one depends on the processor that the request runs on.
 */
const HANGS_UP_AT_FIRST = 'gzip header but plain body';

async function askOpa(one: Case, tries = 50): Promise<Reply> {
  const url = servers.opa[one.instance];
  if (one.name !== HANGS_UP_AT_FIRST) return send(url, one);
  const valid = CASES.find(({ name }) => name === 'gzip request v1') ?? expect.fail();
  await Promise.all(Array.from({ length: 4 }, () => send(url, valid)));
  return send(url, one).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET' || tries === 0) throw error;
    return askOpa(one, tries - 1);
  });
}

describe('OPA itself answers as the case says', () => {
  test.each(CASES)('$group: $name', async (one) => {
    const before = BEFORE[one.name];
    if (before) expect((await send(servers.opa[one.instance], before)).status).toBe(204);
    expect(differences(one, await askOpa(one), { exactly: true })).toEqual([]);
  });
});

describe('the sidecar answers the same', () => {
  test.each(CASES.filter(({ name }) => !documented.has(name)))('$group: $name', async (one) => {
    expect(differences(one, await send(servers.sidecar[one.instance], one), { exactly: false })).toEqual([]);
  });
});

describe('or otherwise, as docs/opa-compatibility.md says', () => {
  test.each(CASES.filter(({ name }) => documented.has(name)))('$group: $name', async (one) => {
    const reply = await send(servers.sidecar[one.instance], one);
    expect(differences(one, reply, { exactly: false })).not.toEqual([]);
    const { code, message } = JSON.parse(reply.text);
    expect(message).toEqual(expect.any(String));
    const { opaStatus, reason, ...ours } = documented.get(one.name) ?? expect.fail();
    expect({ name: one.name, status: reply.status, code }).toEqual(ours);
    expect(one.expect_status).toBe(opaStatus);
  });
});

test('what the cases call core is never among the differences, and every difference is of a case', () => {
  const core = CASES.filter(({ fits }) => fits === 'core').map(({ name }) => name);
  expect(core).toHaveLength(90);
  expect(core.filter((name) => documented.has(name))).toEqual([]);
  const names = new Set(CASES.map(({ name }) => name));
  expect(names.size).toBe(CASES.length);
  expect([...documented.keys()].filter((name) => !names.has(name))).toEqual([]);
});

test('after all of them both are healthy, and nothing polluted the sidecar', async () => {
  for (const url of [...Object.values(servers.sidecar), ...Object.values(servers.opa)]) {
    expect(await send(url, { method: 'GET', path: '/health', headers: {} })).toMatchObject({ status: 200 });
  }
  const echo = { method: 'POST', path: '/v1/data/conf/echo', body: '{"input":{"a":1}}' };
  expect(JSON.parse((await send(servers.sidecar.default, echo)).text)).toEqual({ result: { a: 1 } });
});
