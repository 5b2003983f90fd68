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

/** A ledger that is done with a batch when it is told to; batches are called by their first entry. */
function slowLedger() {
  const writing = new Map<string, () => void>();
  const append = (entries: StreamEntry[]) =>
    new Promise<void>((resolve) => {
      const name = entries[0]?.id ?? '';
      writing.set(name, () => {
        writing.delete(name);
        resolve();
      });
    });
  return { append, writing };
}

test('three batches are on their way at a time, and each is acknowledged by itself', async () => {
  const stream = new MemoryStream();
  stream.waiting.push(...numbered(50));
  const { append, writing } = slowLedger();
  begin(stream, append);
  await eventually(() => expect([...writing.keys()]).toEqual(['0', '10', '20']));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(stream.waiting).toHaveLength(20);
  writing.get('10')?.();
  await eventually(() => expect([...writing.keys()]).toEqual(['0', '20', '30']));
  const all = numbered(50);
  expect([...stream.taken]).toEqual([...all.slice(0, 10), ...all.slice(20, 40)]);
  writing.get('30')?.();
  await eventually(() => expect([...writing.keys()]).toEqual(['0', '20', '40']));
  for (const finish of writing.values()) finish();
  await eventually(() => expect(stream.taken.size).toBe(0));
});

test('looks for what was left behind only when nothing of its own is on its way', async () => {
  const [stream, clock] = [new MemoryStream(), new TestClock()];
  const { append, writing } = slowLedger();
  begin(stream, append, { clock });
  stream.waiting.push(...numbered(5));
  await eventually(() => expect(writing.size).toBe(1));
  stream.left.push('x');
  stream.calls.length = 0;
  clock.advance(15_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(stream.calls).not.toContain('reclaim');
  writing.get('0')?.();
  await eventually(() => expect([...writing.keys()]).toEqual(['x']));
  expect(stream.calls.slice(-2)).toEqual(['acknowledge', 'reclaim']);
  writing.get('x')?.();
});

test('a stop waits for the batches at hand, and takes no other', async () => {
  const stream = new MemoryStream();
  stream.waiting.push(...numbered(50));
  const { append, writing } = slowLedger();
  const started = begin(stream, append);
  await eventually(() => expect(writing.size).toBe(3));
  let stopped = false;
  const stopping = started.stop().then(() => {
    stopped = true;
  });
  for (const name of ['0', '20', '10']) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(stopped).toBe(false);
    writing.get(name)?.();
  }
  await stopping;
  expect(stream.taken.size).toBe(0);
  expect(stream.waiting).toHaveLength(20);
  expect(writing.size).toBe(0);
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
