import { setTimeout as sleep } from 'node:timers/promises';
import { usageStreamKey } from '../../../schemas/usage-stream.ts';
import { partitionKeys } from '../../../sidecar/counters/keys.ts';
import { eventually } from '../../helpers/eventually.ts';
import { inParallel } from '../../helpers/sidecar-client.ts';
import { call } from './call.ts';
import type { ClosedMonth } from './closed-month.ts';
import type { Dice } from './dice.ts';
import { clockRight } from './faults/clock.ts';
import { askWithKey, type Stage } from './operations.ts';
import type { Program } from './program.ts';
import type { Rig } from './rig.ts';

const STREAM = usageStreamKey(0);
const OPEN = partitionKeys(0).open;
/** What was delivered to a reader that was just ending is claimed by another one after a minute, looked for every 15 s. */
const SETTLED_WITHIN_MS = 100_000;
const READY_WITHIN_MS = 20_000;
/** Nobody goes on for ever: of the requests whose answer is known, so many are asked for again. */
const REPEATED = 20;
const TRIES = 300;
const CALLERS = 8;

/**
 * No more faults: everything runs, whoever has no answer asks again until there is one, and what is on its way arrives.
 * Throws if that takes for ever.
 */
export async function heal(rig: Rig, stage: Stage, month: ClosedMonth, dice: Dice, settable: boolean): Promise<void> {
  for (const link of Object.values(rig.links)) link.heal();
  if (settable) await clockRight(rig);
  await Promise.all([...rig.sidecars, ...rig.workers].map((program) => program.up()));
  await Promise.all(rig.sidecars.map(ready));
  // What a Redis that was away did not take, nobody has written.
  if (!stage.journal.late.some(({ arrived }) => arrived)) await month.arrive(dice, 3);
  await until(
    async () => stage.calls.revokeKey(await stage.calls.sidecar(dice), stage.keyed),
    'a key cannot be revoked',
  );
  await Promise.all([
    askAgain(stage, dice),
    reportAgain(stage, dice),
    until(() => month.close(dice), 'a month is not closed'),
  ]);
  await month.arrive(dice, 2);
  await refused(rig, stage, dice);
  await drained(rig);
}

async function ready({ output, url }: Program): Promise<void> {
  await eventually(
    async () => {
      const got = await call(`${url}/health/ready`, { method: 'GET' });
      if ('answer' in got && got.answer.status === 200) return;
      throw new Error(
        `a sidecar does not become ready: ${JSON.stringify(got)}; it said:\n${output.slice(-8).join('\n')}`,
      );
    },
    { timeoutMs: READY_WITHIN_MS },
  );
}

async function until(done: () => Promise<boolean>, otherwise: string): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    if (await done()) return;
    await sleep(100);
  }
  throw new Error(otherwise);
}

/** By a few callers: after a minute's outage there are thousands. */
const oneByOne = <Item>(items: Item[], work: (item: Item) => Promise<void>) =>
  inParallel(items.length, CALLERS, (index) => work(items[index] as Item));

/** Whoever has an id and does not know: the answer must be what it was. Some of those who know as well. */
async function askAgain({ calls, journal }: Stage, dice: Dice): Promise<void> {
  const named = journal.asked.filter(({ requestId }) => requestId !== undefined);
  const unknown = named.filter(({ verdicts }) => verdicts.some(({ kind }) => kind === 'unknown'));
  const known = dice.shuffled(named.filter((asked) => !unknown.includes(asked))).slice(0, REPEATED);
  await oneByOne([...unknown, ...known], (asked) =>
    until(async () => {
      asked.final = await calls.ask(await calls.sidecar(dice), asked);
      return asked.final.kind !== 'unknown';
    }, `${asked.requestId} gets no answer although all is well`),
  );
}

async function reportAgain({ calls, journal }: Stage, dice: Dice): Promise<void> {
  const reports = [...journal.grants.values()].flatMap((grant) => grant.reports.map((report) => ({ grant, report })));
  const unknown = reports.filter(({ report }) => report.outcomes.some(({ kind }) => kind === 'unknown'));
  await oneByOne(unknown, ({ grant, report }) =>
    until(async () => {
      await calls.report(await calls.sidecar(dice), grant, report);
      return report.outcomes.at(-1)?.kind !== 'unknown';
    }, `the usage of ${grant.decisionId} cannot be reported although all is well`),
  );
}

/** More than a second after its revocation, a key lets nobody in anywhere. */
async function refused(rig: Rig, stage: Stage, dice: Dice): Promise<void> {
  const { revokedAt = 0 } = stage.journal.key ?? {};
  await sleep(Math.max(0, revokedAt + 1_050 - performance.now()));
  for (const sidecar of rig.sidecars) await askWithKey(stage, dice, sidecar);
}

/** Nothing is reserved any more, and nothing is on its way to the ledger. */
async function drained({ control }: Rig): Promise<void> {
  await eventually(
    async () => {
      const open = await control.ask<number>('ZCARD', OPEN);
      const length = await control.ask<number>('XLEN', STREAM);
      const [group] = await control.ask<{ pending: number }[]>('XINFO', 'GROUPS', STREAM);
      if (open > 0) throw new Error(`${open} reservations never end`);
      // Not by the `lag` that Redis tells of the group: in half an hour of faults it came to say 1,611 of a stream that was empty.
      if (group?.pending !== 0 || length !== 0)
        throw new Error(`the stream of ${length} is not read to its end: ${JSON.stringify(group)}`);
    },
    { timeoutMs: SETTLED_WITHIN_MS, intervalMs: 50 },
  );
}
