import { setTimeout as sleep } from 'node:timers/promises';
import type { Rig } from '../rig.ts';
import { type Fault, forAWhile } from './fault.ts';

const FLUSHES = 8;

/** A setting of the server for a while, as it was afterwards. */
const setting = (name: string, value: string, usual: string, most: number): Fault => ({
  name: `Redis with ${name} ${value}`,
  run: async ({ control }, dice) => {
    await control.ask('CONFIG', 'SET', name, value);
    await forAWhile(dice, 50, most);
    await control.ask('CONFIG', 'SET', name, usual);
  },
});

async function killed({ redis }: Rig): Promise<void> {
  await redis.kill();
  await redis.restart();
}

export const redisFaults: readonly Fault[] = [
  { name: 'Redis killed', run: killed },
  {
    name: 'Redis killed with answers on their way',
    run: async (rig, dice) => {
      for (const link of [rig.links.sidecars, rig.links.workers]) link.hold('toClient');
      await forAWhile(dice, 10, 60);
      await killed(rig);
      for (const link of [rig.links.sidecars, rig.links.workers]) link.release();
    },
  },
  {
    name: 'Redis stopped for a while',
    run: async ({ redis }, dice) => {
      await redis.kill('SIGSTOP');
      await forAWhile(dice, 50, 700);
      await redis.kill('SIGCONT');
    },
  },
  {
    name: 'scripts forgotten',
    run: async ({ control }) => {
      for (let times = 0; times < FLUSHES; times++) {
        await control.ask('SCRIPT', 'FLUSH');
        await sleep(20);
      }
    },
  },
  setting('maxmemory', '1', '0', 250),
  setting('min-replicas-to-write', '1', '0', 250),
];
