import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decisionRecordSchema } from '../../schemas/decision-record.ts';
import { type AllInOne, startAllInOne } from '../helpers/all-in-one.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const TOKEN = { Authorization: 'Bearer service-token' };

const stores = {
  'the embedded stores': async () => ({}),
  'Redis and PostgreSQL': async () => {
    const [redis, database] = await Promise.all([startRedis(), createDatabase()]);
    return { REDIS_URL: redis.url, DATABASE_URL: database.url };
  },
};

describe.each(Object.entries(stores))('what was decided and why, on %s', (_, open) => {
  let running: AllInOne;

  beforeAll(async () => {
    running = await startAllInOne({
      DATA_DIR: await tempDir(),
      OPA_TOKEN: 'service-token',
      STORE_TIMEOUT_MS: '10000',
      ...(await open()),
    });
  }, 120_000);

  afterAll(() => running?.process.stop());

  const allowed = async (input: object): Promise<string> => {
    const { body } = await post(`${running.sidecar}/v1/data/openclaw/rate_limit/allow`, { input }, TOKEN);
    expect(body.result).toBe(true);
    return body.decision_id;
  };

  const record = (id: string, query = '') => get(`${running.sidecar}/v1/decisions/${id}${query}`, TOKEN);

  test('a grant with a request id: each counter before and after, then what became of it', async () => {
    await allowed({ tenant_id: 'acme' });
    const began = Date.now();
    const id = await allowed({ tenant_id: 'acme', request_id: 'order-1', model: 'anthropic/claude-sonnet-4-5' });
    const { body, status } = await record(id);
    expect(status).toBe(200);
    expect(body).toEqual({
      decision_id: id,
      tenant_id: 'acme',
      state: 'consumed',
      decided_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      policy_revision: expect.any(String),
      candidate: null,
      limits: [
        {
          id: 'tenant:acme:tokens',
          on_exceed: 'deny',
          capacity: 10_000,
          before: 1,
          after: 106,
          remaining: 9_894,
          used_percent: 1,
          crossed: [],
          reset_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        },
      ],
      closed: [],
    });
    expect(decisionRecordSchema.parse(body)).toEqual(body);
    expect(Date.parse(body.limits[0].reset_at)).toBeGreaterThan(began);

    const report = { decision_id: id, outcome: 'succeeded', usage: { input: 1_200, output: 340 } };
    expect((await post(`${running.sidecar}/v1/usage`, report, TOKEN)).body.state).toBe('settled');
    expect((await record(id)).body).toEqual({ ...body, state: 'settled' });
  });

  test('a call that used nothing is voided', async () => {
    const id = await allowed({ tenant_id: 'acme', request_id: 'order-2' });
    await post(`${running.sidecar}/v1/usage`, { decision_id: id, outcome: 'failed' }, TOKEN);
    expect((await record(id)).body.state).toBe('voided');
  });

  test('a name that is hostile comes back as it was', async () => {
    const tenant = 'a:b}{%25\n\u202e😀';
    const id = await allowed({ tenant_id: tenant, request_id: 'order-3' });
    const query = `?tenant_id=${encodeURIComponent(tenant)}`;
    expect((await record(id, query)).body).toMatchObject({ decision_id: id, tenant_id: tenant });
  });

  test('nobody sees it without the token, or bound to another tenant', async () => {
    const id = await allowed({ tenant_id: 'acme', request_id: 'order-4' });
    expect((await get(`${running.sidecar}/v1/decisions/${id}`)).status).toBe(401);
    expect((await record(id, '?tenant_id=acme')).status).toBe(200);
    expect((await record(id, '?tenant_id=globex')).status).toBe(404);
  });

  test('where no record is kept, and for ids that are none, it is 404 and says where to look', async () => {
    const unrecorded = await allowed({ tenant_id: 'acme' });
    const other = unrecorded.replace(/^......../, '00000000');
    for (const id of [unrecorded, other, 'x.0', '..%2Fusage', '%00', '%7Bp0%7D%3Ausage', `${unrecorded}%0A`]) {
      const { body, status } = await record(id);
      expect(status, id).toBe(404);
      expect(body).toMatchObject({ code: 'resource_not_found', message: expect.stringContaining('billing worker') });
    }
  });
});
