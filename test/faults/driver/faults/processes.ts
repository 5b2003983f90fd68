import type { Direction } from '../../../helpers/proxy-faults.ts';
import type { Dice } from '../dice.ts';
import type { Program } from '../program.ts';
import type { Rig } from '../rig.ts';
import { type Fault, forAWhile } from './fault.ts';

/** A worker that has nothing to acknowledge is killed all the same after so long. */
const ACKNOWLEDGES_WITHIN_MS = 500;

/** It comes back beside what happens next. */
async function killed(program: Program): Promise<void> {
  await program.kill();
  program.up().catch(() => undefined);
}

/** Killed while what it sent to Redis, or what Redis answered, is on its way. */
const killedBehindHeld = (direction: Direction) => async (rig: Rig, dice: Dice) => {
  rig.links.sidecars.hold(direction);
  await forAWhile(dice, 20, 80);
  const doomed = killed(dice.pick(rig.sidecars));
  rig.links.sidecars.release();
  await doomed;
};

export const processFaults: readonly Fault[] = [
  { name: 'sidecar killed', run: (rig, dice) => killed(dice.pick(rig.sidecars)) },
  { name: 'sidecar killed before its takes', run: killedBehindHeld('toServer') },
  { name: 'sidecar killed before its answers', run: killedBehindHeld('toClient') },
  { name: 'sidecars killed together', run: async (rig) => void (await Promise.all(rig.sidecars.map(killed))) },
  { name: 'worker killed', run: (rig, dice) => killed(dice.pick(rig.workers)) },
  { name: 'workers killed together', run: async (rig) => void (await Promise.all(rig.workers.map(killed))) },
  {
    name: 'worker killed before its acknowledgement',
    run: async (rig, dice) => {
      const { dropped } = rig.links.workers.dropCommand('XACK');
      await Promise.race([dropped, forAWhile(dice, ACKNOWLEDGES_WITHIN_MS, ACKNOWLEDGES_WITHIN_MS)]);
      await killed(dice.pick(rig.workers));
      rig.links.workers.heal();
    },
  },
];
