import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { compiled } from '../../runtime/package-root.ts';
import { createEmbeddedStore } from '../../sidecar/counters/embedded/open.ts';
import { Child } from '../helpers/child.ts';
import { TestClock } from '../helpers/clock.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { limit, plan, Workbench } from './workbench.ts';

const ROUNDS = 8;
const CALLERS = 8;
/** Small, so that journals end and snapshots are written while it is killed. */
const MAX_JOURNAL_BYTES = 200_000;

const fixed = limit({ id: 'fixed', capacity: 1e12, cost: 3, refill: { per_seconds: 3e9 } });
const estimate = limit({ ...fixed, id: 'estimate', cost: 50, settles: true });
const wanted = plan(fixed, estimate);

/** Callers that take, settle and void without end, each for its own tenant, and say what was acknowledged to them. */
const CALLER = `
  import { writeSync } from 'node:fs';
  import { createEmbeddedStore } from ${JSON.stringify(compiled('sidecar/counters/embedded/open.js').href)};
  import { systemClock } from ${JSON.stringify(compiled('runtime/clock.js').href)};
  const [dataDir, round] = process.argv.slice(1);
  const log = { warn() {}, error() {}, fatal() {} };
  const { store } = await createEmbeddedStore({ dataDir, clock: systemClock, log, maxJournalBytes: ${MAX_JOURNAL_BYTES}, settings: { reservationTtlMs: 900000, timeoutMs: 10000 } });
  const say = (event) => writeSync(1, event + '\\n');
  async function call(caller) {
    for (let n = 0; ; n++) {
      const decisionId = [round, caller, n].join('-');
      const event = { tenant_id: 'tenant-' + caller };
      const take = { decisionId, plan: ${JSON.stringify(wanted)}, event, requestId: decisionId, fingerprint: 'f' };
      const { kind } = await store.take(take);
      if (kind !== 'taken') throw new Error(kind);
      say(decisionId + ':reserved');
      if (n % 3 === 0) await store.settle({ decisionId, kind: 'settle', actual: { tokens: n % 90 }, fingerprint: 's' });
      if (n % 3 === 0) say(decisionId + ':settled');
      if (n % 3 === 1) await store.settle({ decisionId, kind: 'void', actual: {}, fingerprint: 'v' });
      if (n % 3 === 1) say(decisionId + ':voided');
    }
  }
  await Promise.all(Array.from({ length: ${CALLERS} }, (_, caller) => call(caller)));
`;

async function killedRound(dataDir: string, round: number): Promise<string[]> {
  const child = new Child(process.execPath, { args: ['--input-type=module', '-e', CALLER, dataDir, String(round)] });
  await child.waitForLine(/:reserved$/);
  await pause(20 + Math.random() * 300);
  await child.kill('SIGKILL');
  return child.stdout.filter((line) => /^\d+-\d+-\d+:\w+$/.test(line));
}

test('C13 killed with -9 at random moments, it has every acknowledged step exactly once, and counters equal events', async () => {
  const dataDir = await tempDir('counters');
  const log = pino({ level: 'silent' });
  const acknowledged: string[] = [];
  const events: { id: string; tenant_id: string; limits: { id: string; amount: number }[] }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    acknowledged.push(...(await killedRound(dataDir, round)));
    const clock = new TestClock(Date.now());
    const embedded = await createEmbeddedStore({ dataDir, clock, log, settings: SETTINGS });
    const bench = new Workbench({ ...embedded, clock });
    for (let caller = 0; caller < CALLERS; caller++) events.push(...(await bench.events(`tenant-${caller}`)));

    const ids = new Set(events.map(({ id }) => id));
    expect(ids.size).toBe(events.length);
    expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
    for (let caller = 0; caller < CALLERS; caller++) {
      const tenant = `tenant-${caller}`;
      const { limits } = await bench.peek(plan({ ...fixed, cost: 0 }, { ...estimate, cost: 0 }), tenant);
      const charged = events.filter(({ tenant_id }) => tenant_id === tenant).flatMap((event) => event.limits);
      for (const { before, id } of limits) {
        const amounts = charged.filter((each) => each.id === id).map(({ amount }) => amount);
        expect(before).toBe(amounts.reduce((sum, amount) => sum + amount, 0));
      }
    }
    await bench.close();
  }
  expect(acknowledged.length).toBeGreaterThan(ROUNDS * CALLERS);
}, 120_000);
