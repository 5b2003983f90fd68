import { afterEach, expect, test, vi } from 'vitest';
import { createLog } from '../runtime/log.ts';
import type { StreamEntry, StreamLag, UsageStream } from '../schemas/usage-stream.ts';
import { TestClock } from '../test/helpers/clock.ts';
import { eventually } from '../test/helpers/eventually.ts';
import { Consumer } from './consume.ts';

/** A stream in memory that keeps the contract's promises, and fails when told to. */
class MemoryStream implements UsageStream {
  readonly waiting: string[] = [];
  readonly taken = new Set<string>();
  /** What another reader left behind. */
  readonly left: string[] = [];
  readonly calls: string[] = [];
  failing: 'read' | 'reclaim' | 'acknowledge' | undefined;

  async read(count: number): Promise<StreamEntry[]> {
    this.#called('read');
    if (this.waiting.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    return this.#take(this.waiting.splice(0, count));
  }

  async reclaim(count: number): Promise<StreamEntry[]> {
    this.#called('reclaim');
    return this.#take(this.left.splice(0, count));
  }

  async acknowledge(ids: string[]): Promise<void> {
    this.#called('acknowledge');
    for (const id of ids) this.taken.delete(id);
  }

  lag(): Promise<StreamLag> {
    throw new Error('nobody asks for it');
  }

  async close(): Promise<void> {}

  #called(name: string): void {
    if (this.calls.at(-1) !== name) this.calls.push(name);
    if (this.failing === name) throw new Error(`${name} fails`);
  }

  #take(ids: string[]): StreamEntry[] {
    for (const id of ids) this.taken.add(id);
    return ids.map((id) => ({ stream: 'usage', id, event: id, redelivered: 0 }));
  }
}

let consumer: Consumer | undefined;
afterEach(() => consumer?.stop());

function begin(
  stream: MemoryStream,
  append: (entries: StreamEntry[]) => Promise<void>,
  { clock = new TestClock(), batchSize = 10 } = {},
) {
  consumer = new Consumer({ stream, append, clock, log: createLog('silent'), batchSize });
  consumer.start();
  return consumer;
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => String(i));

test('carries everything over, what was left behind first, in batches, each acknowledged after it is written', async () => {
  const stream = new MemoryStream();
  stream.left.push('x', 'y');
  stream.waiting.push(...numbered(25));
  const batches: string[][] = [];
  begin(stream, async (entries) => {
    for (const { id } of entries) expect(stream.taken.has(id)).toBe(true);
    batches.push(entries.map(({ id }) => id));
  });
  await eventually(() => expect(batches).toHaveLength(4));
  const all = numbered(25);
  expect(batches).toEqual([['x', 'y'], all.slice(0, 10), all.slice(10, 20), all.slice(20)]);
  await eventually(() => expect(stream.taken.size).toBe(0));
});

test('nothing is acknowledged before it is written, and a database that is away is tried on', async () => {
  const stream = new MemoryStream();
  stream.waiting.push(...numbered(5));
  let away = true;
  const append = vi.fn(async () => {
    if (away) throw new Error('away');
  });
  begin(stream, append);
  await eventually(() => expect(append.mock.calls.length).toBeGreaterThan(1));
  expect(stream.taken.size).toBe(5);
  expect(stream.calls).not.toContain('acknowledge');
  away = false;
  await eventually(() => expect(stream.taken.size).toBe(0));
});

test('an acknowledgement that fails is made up for, without writing again', async () => {
  const stream = new MemoryStream();
  stream.waiting.push(...numbered(5));
  stream.failing = 'acknowledge';
  const append = vi.fn(async () => {});
  begin(stream, append);
  await eventually(() => expect(stream.calls).toContain('acknowledge'));
  stream.failing = undefined;
  await eventually(() => expect(stream.taken.size).toBe(0));
  expect(append).toHaveBeenCalledTimes(1);
});

test('looks for what was left behind now and then, and after a read that failed', async () => {
  const [stream, clock] = [new MemoryStream(), new TestClock()];
  const written: string[] = [];
  begin(stream, async (entries) => void written.push(...entries.map(({ id }) => id)), { clock });
  await eventually(() => expect(stream.calls).toEqual(['reclaim', 'read']));
  stream.left.push('late');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(written).toEqual([]);
  clock.advance(15_000);
  await eventually(() => expect(written).toEqual(['late']));
  stream.left.push('undelivered');
  stream.failing = 'read';
  await new Promise((resolve) => setTimeout(resolve, 50));
  stream.failing = undefined;
  await eventually(() => expect(written).toEqual(['late', 'undelivered']));
});

test('a stop waits for the batch at hand, and takes no other', async () => {
  const stream = new MemoryStream();
  stream.waiting.push(...numbered(20));
  let finish = () => {};
  const append = vi.fn(() => new Promise<void>((resolve) => (finish = resolve)));
  const started = begin(stream, append);
  await eventually(() => expect(append).toHaveBeenCalled());
  let stopped = false;
  const stopping = started.stop().then(() => {
    stopped = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(stopped).toBe(false);
  finish();
  await stopping;
  expect(stream.taken.size).toBe(0);
  expect(stream.waiting).toHaveLength(10);
  expect(append).toHaveBeenCalledTimes(1);
});

test('a stop while the database is away leaves the batch to the next start', async () => {
  const stream = new MemoryStream();
  stream.waiting.push(...numbered(3));
  const append = vi.fn(async () => {
    throw new Error('away');
  });
  const started = begin(stream, append);
  await eventually(() => expect(append).toHaveBeenCalled());
  await started.stop();
  expect(stream.taken.size).toBe(3);
});
