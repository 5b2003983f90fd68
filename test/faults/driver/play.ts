import { setTimeout as sleep } from 'node:timers/promises';
import { call } from './call.ts';
import type { ClosedMonth } from './closed-month.ts';
import { Dice } from './dice.ts';
import type { Fault } from './faults/fault.ts';
import { heal } from './heal.ts';
import { askWithKey, operate, type Stage } from './operations.ts';
import type { Program } from './program.ts';
import type { Rig } from './rig.ts';

/** Operations beside each fault. */
const BESIDE = 16;
/** After each, when somebody has noticed that it is over; if nobody does soon, all the same. */
const BETWEEN = 14;
const BREATH_MS = 600;
const CALLERS = 6;
const MOST_PAUSE_MS = 60;
/** Each act's dice are its own. */
const DICE_OF_AN_ACT = 1_000_000;

export interface Piece {
  seed: number;
  prefix: string;
  faults: readonly Fault[];
  settable: boolean;
  /** Callers go on for as long as a fault lasts, each after a pause of up to so many milliseconds. */
  goingOnMs: number | undefined;
}

/** The faults, one after the other, with operations beside and between them; then the healing. */
export async function play(rig: Rig, stage: Stage, month: ClosedMonth, piece: Piece): Promise<void> {
  const { faults, seed } = piece;
  const dice = new Dice(seed, 1);
  const { calls, keyed } = stage;
  await calls.issueKey(await calls.sidecar(dice), keyed);
  for (const sidecar of rig.sidecars) await askWithKey(stage, dice, sidecar);
  const last = { revokedFrom: dice.between(2, 5), closedFrom: dice.between(2, 6) };
  for (const [number, fault] of faults.entries()) await act(rig, stage, month, piece, { ...last, number, fault });
  await heal(rig, stage, month, dice, piece.settable);
}

interface Act {
  number: number;
  fault: Fault;
  /** From which act on somebody tries to revoke the key, and to close the month. */
  revokedFrom: number;
  closedFrom: number;
}

async function act(rig: Rig, stage: Stage, month: ClosedMonth, piece: Piece, act: Act): Promise<void> {
  const { goingOnMs, prefix, seed } = piece;
  const { calls, journal, keyed } = stage;
  const { fault, number } = act;
  const [own, forFault] = [new Dice(seed, 2 + number * 2), new Dice(seed, 3 + number * 2)];
  journal.faults.push(fault.name);
  let over = false;
  const from = (number + 1) * DICE_OF_AN_ACT;
  const beside = { seed, from, count: BESIDE, pauseMs: goingOnMs ?? MOST_PAUSE_MS };
  const ended = await Promise.allSettled([
    fault.run(rig, forFault, { prefix, journal }).finally(() => {
      over = true;
    }),
    operations(stage, { ...beside, goesOn: () => goingOnMs !== undefined && !over }),
    month.arrive(own, 3),
    number >= act.revokedFrom && calls.sidecar(own).then((sidecar) => calls.revokeKey(sidecar, keyed)),
    number >= act.closedFrom && month.close(own),
  ]);
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  await breath(rig);
  await operations(stage, {
    seed,
    from: from + DICE_OF_AN_ACT / 2,
    count: BETWEEN,
    pauseMs: MOST_PAUSE_MS,
    goesOn: () => false,
  });
}

async function breath({ sidecars }: Rig): Promise<void> {
  const isReady = async ({ isUp, url }: Program) => {
    const got = isUp ? await call(`${url}/health/ready`, { method: 'GET' }) : undefined;
    return got !== undefined && 'answer' in got && got.answer.status === 200;
  };
  for (const end = performance.now() + BREATH_MS; performance.now() < end; await sleep(20)) {
    if ((await Promise.all(sidecars.map(isReady))).includes(true)) return;
  }
}

interface Operations {
  seed: number;
  /** The number of the first one's dice. */
  from: number;
  /** So many at least. */
  count: number;
  pauseMs: number;
  goesOn(): boolean;
}

async function operations(stage: Stage, { count, from, goesOn, pauseMs, seed }: Operations): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count || goesOn()) {
      const dice = new Dice(seed, from + next++);
      await sleep(dice.between(0, pauseMs));
      await operate(stage, dice);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}
