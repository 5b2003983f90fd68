import type { OwnPostgres } from '../own-postgres.ts';
import type { Rig } from '../rig.ts';
import { type Fault, forAWhile } from './fault.ts';

/** The machine that all of it is on: Redis, PostgreSQL, sidecars and workers at once, and up again. */
export const everythingKilled = (database: OwnPostgres): Fault => ({
  name: 'everything killed at once',
  run: async (rig: Rig, dice) => {
    await forAWhile(dice, 100, 900);
    const programs = [...rig.sidecars, ...rig.workers];
    await Promise.all([rig.redis.kill(), database.kill(), ...programs.map((program) => program.kill())]);
    await Promise.all([rig.redis.restart(), database.restart()]);
    await Promise.all(programs.map((program) => program.up()));
  },
});
