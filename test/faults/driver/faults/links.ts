import type { Direction } from '../../../helpers/proxy-faults.ts';
import type { FaultProxy } from '../../../helpers/tcp-proxy.ts';
import type { Dice } from '../dice.ts';
import type { Rig } from '../rig.ts';
import { type Fault, forAWhile } from './fault.ts';

const DIRECTIONS: readonly Direction[] = ['toClient', 'toServer'];

type OnLink = [what: string, run: (link: FaultProxy, dice: Dice) => Promise<void>];

/** What happens to any way between two programs. */
const ON_A_LINK: readonly OnLink[] = [
  [
    'delayed',
    async (link, dice) => {
      link.delay(dice.between(2, 60));
      await forAWhile(dice, 100, 400);
    },
  ],
  [
    'held',
    async (link, dice) => {
      link.hold(dice.pick(DIRECTIONS));
      await forAWhile(dice, 30, 250);
    },
  ],
  [
    'reset',
    async (link, dice) => {
      for (let times = dice.between(1, 4); times > 0; times--) {
        link.reset();
        await forAWhile(dice, 10, 80);
      }
    },
  ],
  [
    'a black hole',
    async (link, dice) => {
      link.blackhole();
      await forAWhile(dice, 50, 500);
    },
  ],
  [
    'cut in the middle',
    async (link, dice) => {
      link.cutAfter(dice.between(1, 4_000), dice.pick(DIRECTIONS));
      await forAWhile(dice, 50, 300);
    },
  ],
];

/** One command that never arrives. */
const swallowed =
  (...names: string[]) =>
  async (link: FaultProxy, dice: Dice) => {
    const { dropped } = link.dropCommand(dice.pick(names));
    await Promise.race([dropped, forAWhile(dice, 300, 300)]);
    await forAWhile(dice, 50, 300);
  };

const on = (name: keyof Rig['links'], what: string, faults: readonly OnLink[]): Fault[] =>
  faults.map(([does, run]) => ({
    name: `the way from ${what}: ${does}`,
    run: async ({ links }, dice) => {
      await run(links[name], dice);
      links[name].heal();
    },
  }));

export const linkFaults: readonly Fault[] = [
  ...on('sidecars', 'sidecars to Redis', [...ON_A_LINK, ['a script is swallowed', swallowed('EVALSHA')]]),
  ...on('workers', 'workers to Redis', [
    ...ON_A_LINK,
    ['a command is swallowed', swallowed('XACK', 'XREADGROUP', 'XDEL')],
  ]),
  ...on('database', 'workers to PostgreSQL', ON_A_LINK),
];
