import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../test/helpers/eventually.ts';
import { tempDir } from '../test/helpers/temp-dir.ts';
import { type Entry, Outbox, type Sent } from './outbox.ts';

const entry = (decisionId: string): Entry => ({
  decisionId,
  report: { outcome: 'succeeded', model: 'lab/m', usage: { input: 1, output: 2, cache_read: 0, cache_write: 0 } },
});

/** An outbox whose receiver answers as it is told. */
async function open({ alive = [] as number[], folder = '', pid = 1, unique = 'a' } = {}) {
  const dir = folder || (await tempDir('outbox'));
  const told: (string | undefined)[] = [];
  const warned: string[] = [];
  const receiver = { answer: (_id?: string): Sent => 'gone' };
  const outbox = new Outbox({
    folder: dir,
    pid,
    unique,
    isAlive: (other) => alive.includes(other),
    send: async ({ decisionId }) => {
      told.push(decisionId);
      return receiver.answer(decisionId);
    },
    warn: (line) => warned.push(line),
    waitMs: () => 10,
  });
  const onDisk = () => readdirSync(dir).map((name) => readFileSync(join(dir, name), 'utf8'));
  return { dir, outbox, told, warned, receiver, onDisk };
}

test('what is told leaves nothing on disk', async () => {
  const { onDisk, outbox, told } = await open();
  await outbox.add(entry('1'));
  expect(told).toEqual(['1']);
  expect(outbox.size).toBe(0);
  expect(onDisk()).toEqual(['']);
});

test('it is on disk before it is sent', async () => {
  const { onDisk, outbox, receiver } = await open();
  let found: string[] = [];
  receiver.answer = () => {
    found = onDisk();
    return 'gone';
  };
  await outbox.add(entry('1'));
  expect(found).toEqual([expect.stringContaining('"decisionId":"1"')]);
});

test('what cannot be told is told later, in order, and nobody waits for it meanwhile', async () => {
  const { outbox, receiver, told } = await open();
  receiver.answer = () => 'later';
  for (const id of ['1', '2', '3']) await outbox.add(entry(id));
  expect(outbox.size).toBe(3);
  receiver.answer = () => 'gone';
  await eventually(() => expect(outbox.size).toBe(0));
  expect(told.slice(-3)).toEqual(['1', '2', '3']);
});

test('the next process takes over what one left that was killed, also a torn line and one of the same id', async () => {
  const dead = await open({ pid: 7 });
  dead.receiver.answer = (id) => (id === '1' ? 'gone' : 'later');
  for (const id of ['1', '2', '3']) await dead.outbox.add(entry(id));
  const [name = ''] = readdirSync(dead.dir);
  writeFileSync(join(dead.dir, name), '{"id":9,"entry":{"decis', { flag: 'a' });
  const next = await open({ folder: dead.dir, pid: 7, unique: 'b' });
  next.outbox.adopt();
  await next.outbox.flush();
  expect(next.told).toEqual(['2', '3']);
  expect(next.onDisk()).toEqual(['']);
});

test('files of a process that lives are left alone', async () => {
  const living = await open({ pid: 7 });
  living.receiver.answer = () => 'later';
  await living.outbox.add(entry('1'));
  const other = await open({ folder: living.dir, pid: 8, alive: [7] });
  other.outbox.adopt();
  expect(other.outbox.size).toBe(0);
});

test('it is bounded: the oldest are given up, and that is said', async () => {
  const { outbox, receiver, warned } = await open();
  receiver.answer = () => 'later';
  for (let i = 0; i < 10_003; i++) await outbox.add(entry(String(i)));
  expect(outbox.size).toBe(10_000);
  expect(outbox.dropped).toBe(3);
  expect(warned).toEqual(['more than 10000 usage reports wait: the oldest are given up']);
});

test('a file with much that is done is written anew', async () => {
  const { onDisk, outbox, receiver } = await open();
  receiver.answer = () => 'later';
  for (let i = 0; i < 1_500; i++) await outbox.add(entry(String(i)));
  receiver.answer = (id) => (Number(id) < 1_200 ? 'gone' : 'later');
  await outbox.flush();
  expect(outbox.size).toBe(300);
  // 500 were written anew, and 200 more are marked as done since.
  expect(onDisk().join('').trim().split('\n')).toHaveLength(700);
});
