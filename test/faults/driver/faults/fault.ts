import { setTimeout as sleep } from 'node:timers/promises';
import type { Dice } from '../dice.ts';
import type { Journal } from '../journal.ts';
import type { Rig } from '../rig.ts';

export interface Fault {
  name: string;
  run(rig: Rig, dice: Dice, scene: Scene): Promise<void>;
}

/** What a fault knows of the run it is in. */
export interface Scene {
  /** What the names of its tenants begin with. */
  prefix: string;
  journal: Journal;
}

/** For so many milliseconds, at least and at most. */
export const forAWhile = (dice: Dice, least: number, most: number): Promise<void> => sleep(dice.between(least, most));
