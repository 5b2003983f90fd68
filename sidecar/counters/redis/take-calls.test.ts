import { pino } from 'pino';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { systemClock } from '../../../runtime/clock.ts';
import { limit, plan } from '../../../test/conformance/workbench.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { eventually } from '../../../test/helpers/eventually.ts';
import { startRedis } from '../../../test/helpers/redis-server.ts';
import { startProxy } from '../../../test/helpers/tcp-proxy.ts';
import { atTestEnd } from '../../../test/helpers/test-end.ts';
import { newDecisionId } from '../../decision/decision-id.ts';
import { connectRedis } from './connection.ts';
import { loadScripts } from './scripts.ts';
import { RedisStore } from './store.ts';

const STREAM = 'ocr:{p0}:usage';

test('where the store is far away, it is asked again for who came while its answers are on their way back', async () => {
  const redis = await startRedis();
  const proxy = await startProxy({ target: redis });
  const connection = await connectRedis(proxy.url(redis.url), 10_000, pino({ level: 'silent' }));
  atTestEnd(() => connection.close());
  const store = new RedisStore(connection, loadScripts(), systemClock, SETTINGS);
  const client = await createClient({ url: redis.url }).connect();
  atTestEnd(() => client.close());
  const take = async () => {
    const event = { tenant_id: 'acme', model: 'm' };
    const decisionId = newDecisionId(systemClock.now(), 0);
    const { kind } = await store.take({ decisionId, plan: plan(limit({ capacity: 1_000 })), event, fingerprint: '' });
    return kind;
  };

  const before = 40;
  proxy.delay(5);
  for (let call = 0; call < before; call++) expect(await take()).toBe('taken');
  proxy.hold('toClient');
  const answers = [take(), take(), take()];
  await eventually(async () => expect(await client.xLen(STREAM)).toBe(before + 3));
  answers.push(take());
  await eventually(async () => expect(await client.xLen(STREAM)).toBe(before + 4));
  proxy.release();
  expect(await Promise.all(answers)).toEqual(['taken', 'taken', 'taken', 'taken']);
});
