import { usageStreamKey } from '../../../../schemas/usage-stream.ts';
import { eventually } from '../../../helpers/eventually.ts';
import type { Dice } from '../dice.ts';
import type { Rig } from '../rig.ts';
import { type Fault, forAWhile, type Scene } from './fault.ts';

const STREAM = usageStreamKey(0);
const GROUP = 'ledger';
const ASIDE = `${STREAM}-aside`;
const COPIES = 12;

const add = ({ control }: Rig, text: string) => control.attempt<string>('XADD', STREAM, '*', 'e', text);

/** Entries that nobody can make a row of: each has the mark in it, by which it is found among the dead letters. */
const POISONS: readonly ((mark: string, tenant: string) => string)[] = [
  (mark) => `{"v":1,"id":"${mark}`,
  (mark) => JSON.stringify({ v: 1, id: mark, type: 'consumed' }),
  (mark, tenant) => JSON.stringify({ v: 2, id: mark, tenant_id: tenant }),
  (mark, tenant) => JSON.stringify({ v: 1, id: mark, type: 'consumed', tenant_id: tenant, user_id: 'a\u0000b' }),
  (mark) => mark,
];

async function poison(rig: Rig, dice: Dice, { journal, prefix }: Scene): Promise<void> {
  for (const make of dice.shuffled(POISONS).slice(0, dice.between(1, POISONS.length))) {
    const mark = `${prefix}-poison-${journal.poisons.length}`;
    const noted = { mark, arrived: false };
    journal.poisons.push(noted);
    noted.arrived = (await add(rig, make(mark, `${prefix}-large`))) !== undefined;
  }
}

/** Events of this run once more, also old ones, in another order, some of them twice. */
async function deliveredTwice(rig: Rig, dice: Dice, { prefix }: Scene): Promise<void> {
  const own = rig.shadow.entries.filter(({ eventId, tenantId }) => eventId && tenantId?.startsWith(prefix));
  if (own.length === 0) return;
  for (let copies = 0; copies < COPIES; copies++) await add(rig, dice.pick(own).text);
}

/** Only a reader that holds nothing: what one holds is lost with it, which is why nobody should. */
const DELETE_IDLE = `
local deleted = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  if consumer[4] == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer[2])
    deleted = deleted + 1
  end
end
return deleted`;

/** As a slip of an operator's hand makes it; and as it was, in one step, so that nobody makes a new one meanwhile. */
async function ofAnotherType({ control }: Rig, dice: Dice): Promise<void> {
  await eventually(async () => {
    if ((await control.ask<number>('EXISTS', STREAM)) === 0) throw new Error('there is no stream yet');
  });
  await control.ask(
    'EVAL',
    `redis.call('RENAME', KEYS[1], KEYS[2]) redis.call('SET', KEYS[1], 'something else')`,
    '2',
    STREAM,
    ASIDE,
  );
  await forAWhile(dice, 50, 250);
  await control.ask('EVAL', `redis.call('DEL', KEYS[1]) redis.call('RENAME', KEYS[2], KEYS[1])`, '2', STREAM, ASIDE);
}

export const streamFaults: readonly Fault[] = [
  { name: 'events delivered twice', run: deliveredTwice },
  { name: 'entries that cannot be read', run: poison },
  {
    name: 'readers that hold nothing deleted',
    run: async ({ control }) => void (await control.attempt('EVAL', DELETE_IDLE, '1', STREAM, GROUP)),
  },
  {
    name: 'the group of readers destroyed',
    run: async ({ control }) => void (await control.attempt('XGROUP', 'DESTROY', STREAM, GROUP)),
  },
  { name: 'the stream is something else for a while', run: ofAnotherType },
];
