import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringRedis } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { startSidecar } from '../helpers/services.ts';
import { ask, get } from '../helpers/sidecar-client.ts';
import { type RefusingRedis, startRefusingRedis } from './refusing-redis.ts';
import { type Rig, startRig, streamed, used } from './rig.ts';

const ERRORS = [
  "READONLY You can't write against a read only replica.",
  'MASTERDOWN Link with MASTER is down',
  'MOVED 3999 127.0.0.1:6381',
  'ASK 3999 127.0.0.1:6381',
  "CROSSSLOT Keys in request don't hash to the same slot",
  'TRYAGAIN Multiple keys request during rehashing of slot',
  'CLUSTERDOWN The cluster is down',
  'NOREPLICAS Not enough good replicas to write.',
  'LOADING Redis is loading the dataset in memory',
  'BUSY Redis is busy running a script.',
  'MISCONF Errors writing to the AOF file: No space left on device',
  "OOM command not allowed when used memory > 'maxmemory'.",
  'NOAUTH Authentication required.',
  'NOPERM this user has no permissions to run the command',
  'NOSCRIPT No matching script.',
  'ERR something that no version has said yet',
];

let rig: Rig;
let redis: RefusingRedis;
let url: string;
const allowed: string[] = [];

beforeAll(async () => {
  await bringRedis();
  rig = await startRig();
  redis = await startRefusingRedis(rig.redis);
  ({ url } = await startSidecar({ ...rig.environment, REDIS_URL: redis.url }));
}, BRING_TIMEOUT_MS);

describe('a Redis that answers a take with an error', () => {
  test.each(ERRORS)('%s: denied, nothing is taken, and the same request is allowed once it does not', async (error) => {
    const input = { tenant_id: 'acme', request_id: error };
    redis.error = error;
    const refused = await ask(url, input, 'decision');
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([200, '1']);
    expect(refused.body.result).toMatchObject({ allow: false, reason: 'counters_unavailable' });
    expect(await used(rig.client)).toBe(allowed.length);

    redis.error = undefined;
    const { body } = await eventually(async () => {
      const reply = await ask(url, input, 'decision');
      expect(reply.body.result.allow).toBe(true);
      return reply;
    });
    expect(body.replayed).toBeUndefined();
    allowed.push(body.decision_id);
    expect(await used(rig.client)).toBe(allowed.length);
    expect(await streamed(rig.client)).toEqual(allowed);
    expect((await get(`${url}/health`)).status).toBe(200);
  });
});
