import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { compiled } from '../../../runtime/package-root.ts';
import { limit, Workbench } from '../../../test/conformance/workbench.ts';
import { Child } from '../../../test/helpers/child.ts';
import { TestClock } from '../../../test/helpers/clock.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { createEmbeddedStore } from './open.ts';

/** Takes until a take fails, then tries everything else, and says what became of each. */
const TAKER = `
  import { createEmbeddedStore } from ${JSON.stringify(compiled('sidecar/counters/embedded/open.js').href)};
  import { systemClock } from ${JSON.stringify(compiled('runtime/clock.js').href)};
  const log = { warn() {}, error() {}, fatal() {} };
  const plan = ${JSON.stringify({ limits: [limit({ capacity: 1e9 })], candidates: [], raw_counters: true })};
  const { store, stream } = await createEmbeddedStore({ dataDir: process.argv[1], clock: systemClock, log, settings: { reservationTtlMs: 900000, timeoutMs: 10000 } });
  const take = (n) => store.take({ decisionId: 'd' + n, plan, event: { tenant_id: 't' }, requestId: 'q' + n, fingerprint: '' });
  let n = 0;
  for (let failed = 0; failed === 0; ) {
    const batch = Array.from({ length: 8 }, () => take(++n).then(() => console.log('taken'), () => failed++));
    await Promise.all(batch);
  }
  const said = async (name, call) => console.log(name, await call().then(() => 'answered', (error) => error.name + ': ' + error.message));
  await said('take', () => take(++n));
  await said('replay', () => take(1));
  await said('peek', () => store.peek(plan, 't'));
  await said('settle', () => store.settle({ decisionId: 'd1', kind: 'void', actual: {}, fingerprint: '' }));
  await said('ping', () => store.ping());
  await said('read', () => stream.read(1, 1));
  console.log('done');
`;

test('when a write fails, nothing that was not written is acknowledged, and all is refused until a restart', async () => {
  const dataDir = await tempDir('counters');
  const limited = `ulimit -f 64; exec ${process.execPath} --input-type=module -e "$0" "$1"`;
  const child = new Child('/bin/sh', { args: ['-c', limited, TAKER, dataDir] });
  await child.waitForLine(/^done$/);
  const failure = /CountersUnavailable: the counters cannot be written: EFBIG/;
  for (const what of ['take', 'replay', 'peek', 'settle', 'ping', 'read']) {
    expect(child.stdout.find((line) => line.startsWith(`${what} `))).toMatch(failure);
  }
  const taken = child.stdout.filter((line) => line === 'taken').length;
  expect(taken).toBeGreaterThan(8);
  await child.stop();

  expect((await stat(join(dataDir, 'counters/journal-000000001'))).size).toBeLessThanOrEqual(65_536);
  const clock = new TestClock(Date.now());
  const bench = new Workbench({
    ...(await createEmbeddedStore({ dataDir, clock, log: pino({ level: 'silent' }), settings: SETTINGS })),
    clock,
  });
  const used = (await bench.peek(limit({ cost: 0, capacity: 1e9 }), 't')).limits[0]?.before ?? 0;
  expect(used).toBeGreaterThanOrEqual(taken);
  expect(await bench.events('t')).toHaveLength(used);
  await bench.taken(limit({ capacity: 1e9 }), { event: { tenant_id: 't' } });
  await bench.close();
});
