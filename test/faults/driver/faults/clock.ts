import { CLOCK_OFFSET_KEY } from '../program-copy.ts';
import type { Rig } from '../rig.ts';
import { type Fault, forAWhile } from './fault.ts';

const MOST_MS = 20 * 60_000;

const furthest = new WeakMap<Rig, number>();

async function setOff(rig: Rig, milliseconds: number): Promise<void> {
  furthest.set(rig, Math.max(furthest.get(rig) ?? 0, milliseconds));
  await rig.control.ask('SET', CLOCK_OFFSET_KEY, String(milliseconds));
}

const offset = async ({ control }: Rig) => Number((await control.ask<string | null>('GET', CLOCK_OFFSET_KEY)) ?? 0);

/** To where it was furthest, so that what waits for a time of then does not wait any more. */
export const clockRight = (rig: Rig): Promise<void> => setOff(rig, furthest.get(rig) ?? 0);

export const clockFaults: readonly Fault[] = [
  {
    name: "the store's clock set back and forth",
    run: async (rig, dice) => {
      const now = await offset(rig);
      for (let times = dice.between(2, 5); times > 0; times--) {
        await setOff(rig, now - dice.between(1_000, MOST_MS));
        await forAWhile(dice, 20, 150);
        await setOff(rig, now);
        await forAWhile(dice, 20, 100);
      }
    },
  },
  {
    name: "the store's clock set back",
    run: async (rig, dice) => setOff(rig, (await offset(rig)) - dice.between(1_000, MOST_MS)),
  },
  {
    name: "the store's clock set forward",
    run: async (rig, dice) => setOff(rig, (await offset(rig)) + dice.between(1_000, MOST_MS)),
  },
];
