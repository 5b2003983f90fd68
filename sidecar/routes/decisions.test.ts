import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import { decisionRecordSchema } from '../../schemas/decision-record.ts';
import type { DecisionRecord } from '../counters/contract.ts';
import type { IdentifiedEnv } from '../identity/authenticate.ts';
import { type Identity, SERVICE } from '../identity/identity.ts';
import { decisionRoutes } from './decisions.ts';

const ID = '0192f0c1-4925-76dd-b0c9-b584f2ba6bdd.7';

const record = (more: Partial<DecisionRecord> = {}): DecisionRecord => ({
  decisionId: ID,
  tenantId: 'acme',
  state: 'reserved',
  policyRevision: 'r1',
  decidedAt: Date.parse('2026-01-01T12:00:00Z'),
  outcome: {
    granted: true,
    candidate: 'small',
    closed: [{ gate: 'cooldown:big', candidate: 'big', until: Date.parse('2026-01-01T12:05:00Z') }],
    limits: [
      {
        id: 'bucket',
        granted: true,
        over: false,
        crossed: [75],
        on_exceed: 'deny',
        capacity: 100,
        before: 70,
        used: 80,
        remaining: 20,
        used_percent: 80,
        reset_at: Date.parse('2026-01-02T00:00:00Z'),
        retry_after_ms: 0,
      },
    ],
  },
  ...more,
});

/** The routes on a store that knows one record, and what the store was asked for. */
function open(known = record(), identity: Identity = SERVICE) {
  const asked: string[] = [];
  const app = new Hono<IdentifiedEnv>().use((c, next) => {
    c.set('identity', identity);
    return next();
  });
  const routes = decisionRoutes({
    store: {
      record: async (id) => {
        asked.push(id);
        return id === known.decisionId ? known : undefined;
      },
    },
  });
  app.route('/', routes);
  return { asked, get: (path: string) => app.request(`/v1/decisions/${path}`) };
}

test('tells a user of a tenant of that one only', async () => {
  const user = (tenant: string): Identity => ({ type: 'user', bound: { user_id: 'u', tenant_id: tenant } });
  expect((await open(record(), user('acme')).get(ID)).status).toBe(200);
  expect((await open(record(), user('globex')).get(ID)).status).toBe(404);
  expect((await open(record(), user('globex')).get(`${ID}?tenant_id=acme`)).status).toBe(404);
});

test('says what was decided and why', async () => {
  const body = await (await open().get(ID)).json();
  expect(body).toEqual({
    decision_id: ID,
    tenant_id: 'acme',
    state: 'reserved',
    decided_at: '2026-01-01T12:00:00.000Z',
    policy_revision: 'r1',
    candidate: 'small',
    limits: [
      {
        id: 'bucket',
        on_exceed: 'deny',
        capacity: 100,
        before: 70,
        after: 80,
        remaining: 20,
        used_percent: 80,
        crossed: [75],
        reset_at: '2026-01-02T00:00:00.000Z',
      },
    ],
    closed: [{ gate: 'cooldown:big', candidate: 'big', until: '2026-01-01T12:05:00.000Z' }],
  });
  expect(decisionRecordSchema.parse(body)).toEqual(body);
});

test('an instant that has no RFC 3339 form is null, such as that of a gate closed for good', async () => {
  const { outcome } = record();
  const far = record({
    policyRevision: undefined,
    outcome: {
      ...outcome,
      candidate: null,
      closed: outcome.closed.map((gate) => ({ ...gate, until: MAX_AMOUNT })),
      limits: outcome.limits.map((limit) => ({ ...limit, reset_at: Date.UTC(10_000, 0) })),
    },
  });
  const body = await (await open(far).get(ID)).json();
  expect(body).toMatchObject({
    policy_revision: null,
    candidate: null,
    closed: [{ until: null }],
    limits: [{ reset_at: null }],
  });
  expect(decisionRecordSchema.parse(body)).toEqual(body);
});

describe('bound to a tenant', () => {
  test.each([
    ['its own', '?tenant_id=acme', 200],
    ["another's", '?tenant_id=globex', 404],
    ['an empty name', '?tenant_id=', 404],
    ["its own and another's", '?tenant_id=acme&tenant_id=globex', 404],
    ["another's and its own", '?tenant_id=globex&tenant_id=acme', 404],
  ])('%s', async (_, query, status) => {
    expect((await open().get(`${ID}${query}`)).status).toBe(status);
  });
});

test('an unknown id is 404, and says where to look', async () => {
  const { asked, get } = open();
  const other = ID.replace('0192', '0193');
  const response = await get(other);
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({
    code: 'resource_not_found',
    message: expect.stringMatching(/24 hours.*billing worker/),
  });
  expect(asked).toEqual([other]);
});

test.each([
  'x.0',
  ID.slice(0, -2),
  `${ID}0000`,
  `${ID.slice(0, -1)}07`,
  `${ID.slice(0, -1)}-1`,
  `${ID.slice(0, -1)}1e3`,
  ID.toUpperCase(),
  `%20${ID}`,
  `${ID}%0A`,
  `${ID}%00`,
  `${ID}%7D%3Aq`,
  '..%2F..%2Fusage',
  '%7Bp0%7D:usage',
  '*',
  '%F0%9F%98%80',
  '%ff',
  '%',
  'a'.repeat(5_000),
  `${ID.slice(0, 14)}4${ID.slice(15)}`,
])('a malformed id is 404 and the store is not asked: %s', async (id) => {
  const { asked, get } = open();
  const response = await get(id);
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ code: 'resource_not_found' });
  expect(asked).toEqual([]);
});
