import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../runtime/log.ts';
import type { StreamEntry, StreamLag, UsageStream } from '../../schemas/usage-stream.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { Consumer } from '../consume.ts';
import { PartitionedStream } from './partitioned-stream.ts';

type Fault = 'away' | 'answer lost' | 'hangs';

/** A stream in memory that keeps the contract's promises, also about what it delivered in vain. */
class MemoryStream implements UsageStream {
  readonly name: string;
  waiting: string[] = [];
  /** Delivered, and not acknowledged. */
  taken: string[] = [];
  acknowledged: string[] = [];
  asked = 0;
  fault: Fault | undefined;
  oldestMs = 0;
  /** Lets a call that hangs go on. */
  release = () => {};
  #ownAfter: number | undefined = 0;

  constructor(name: string) {
    this.name = name;
  }

  read(count: number): Promise<StreamEntry[]> {
    return this.#delivering(() => {
      const ids = this.waiting.splice(0, count);
      this.taken.push(...ids);
      return ids;
    });
  }

  reclaim(count: number): Promise<StreamEntry[]> {
    return this.#delivering(() => {
      if (this.#ownAfter === undefined) return [];
      const ids = this.taken.slice(this.#ownAfter, this.#ownAfter + count);
      this.#ownAfter = ids.length ? this.#ownAfter + ids.length : undefined;
      return ids;
    });
  }

  async acknowledge(ids: string[]): Promise<void> {
    await this.#reached();
    this.acknowledged.push(...ids);
    const read = this.taken.slice(0, this.#ownAfter ?? 0);
    if (this.#ownAfter !== undefined) this.#ownAfter -= read.filter((id) => ids.includes(id)).length;
    this.taken = this.taken.filter((id) => !ids.includes(id));
  }

  async lag(): Promise<StreamLag> {
    await this.#reached();
    return { entries: this.waiting.length + this.taken.length, oldestMs: this.oldestMs };
  }

  async close(): Promise<void> {}

  async #delivering(deliver: () => string[]): Promise<StreamEntry[]> {
    try {
      await this.#reached();
      const ids = deliver();
      if (this.fault === 'answer lost') throw new Error(`${this.name}: answer lost`);
      return ids.map((id) => ({ stream: this.name, id, event: `${this.name}/${id}`, redelivered: 0 }));
    } catch (error) {
      this.#ownAfter = 0;
      throw error;
    }
  }

  async #reached(): Promise<void> {
    this.asked++;
    if (this.fault === 'hangs') await new Promise<void>((resolve) => (this.release = resolve));
    if (this.fault === 'away') throw new Error(`${this.name}: away`);
  }
}

let clock: TestClock;
let streams: MemoryStream[];
let stream: PartitionedStream;
let lines: { msg: string; partitions?: number[] }[];

beforeEach(() => {
  lines = [];
  clock = new TestClock();
  partitions(4);
});

afterEach(() => stream.close());

function partitions(count: number): void {
  streams = Array.from({ length: count }, (_, index) => new MemoryStream(`s${index}`));
  const log = pino({ level: 'info' }, { write: (line) => void lines.push(JSON.parse(line)) });
  stream = new PartitionedStream(streams, { clock, log });
}

const at = (number: number) => streams[number] as MemoryStream;
const fill = (number: number, count: number) =>
  at(number).waiting.push(...Array.from({ length: count }, (_, index) => String(index)));
const events = (entries: StreamEntry[]) => entries.map(({ event }) => event);
const ids = (entries: StreamEntry[]) => entries.map(({ id }) => id);
const counts = (entries: StreamEntry[]) =>
  streams.map(({ name }) => entries.filter((entry) => entry.stream === name).length);
/** Until a partition that failed is asked again. */
const rested = () => clock.advance(500);

describe('reading', () => {
  test('gives a flood no more than is left over by the others', async () => {
    fill(0, 1_000);
    fill(1, 5);
    fill(2, 30);
    expect(counts(await stream.read(100, 1))).toEqual([65, 5, 30, 0]);
    fill(3, 1_000);
    expect(counts(await stream.read(100, 1))).toEqual([50, 0, 0, 50]);
  });

  test('gives one partition alone as much as is asked for, in order', async () => {
    fill(2, 250);
    const read = [...(await stream.read(100, 1)), ...(await stream.read(100, 1)), ...(await stream.read(100, 1))];
    expect(events(read)).toEqual(Array.from({ length: 250 }, (_, index) => `s2/${index}`));
  });

  test('takes turns where fewer are asked for than there are partitions', async () => {
    for (const number of [0, 1, 2, 3]) fill(number, 9);
    const read: StreamEntry[] = [];
    for (let i = 0; i < 4; i++) read.push(...(await stream.read(3, 1)));
    expect(counts(read)).toEqual([3, 3, 3, 3]);
    at(0).waiting = [];
    at(1).waiting = [];
    expect(counts(await stream.read(2, 1))).toEqual([0, 0, 1, 1]);
  });

  test('waits for the first entry of any, and answers with none when there is none', async () => {
    expect(await stream.read(10, 30)).toEqual([]);
    const waiting = stream.read(10, 20_000);
    fill(3, 1);
    expect(events(await waiting)).toEqual(['s3/0']);
  });

  test('asks a quiet stream less and less often', async () => {
    await stream.read(10, 1_300);
    // After 0, 20, 60, 140, 300, 620 and 1,260 ms; the first time also for what is left from before.
    expect(at(0).asked).toBeLessThanOrEqual(8);
  });

  test('names the stream and the partition that an entry came from', async () => {
    fill(3, 1);
    const [entry] = await stream.read(1, 1);
    expect(entry).toEqual({ stream: 's3', id: '0.3', event: 's3/0', redelivered: 0 });
  });
});

describe('acknowledging', () => {
  test('goes to the partition that an entry came from, though others have the same ids', async () => {
    for (const number of [0, 1, 2]) fill(number, 2);
    const read = await stream.read(10, 1);
    await stream.acknowledge(ids(read).filter((id) => !id.startsWith('1')));
    expect(streams.map(({ taken }) => taken)).toEqual([['1'], ['1'], ['1'], []]);
  });

  test('is made up for where a partition is away, before anything new is read from it', async () => {
    for (const number of [0, 1]) fill(number, 2);
    const read = await stream.read(10, 1);
    at(0).fault = 'away';
    await stream.acknowledge(ids(read));
    expect(at(1).taken).toEqual([]);
    expect(at(0).taken).toEqual(['0', '1']);
    at(0).fault = undefined;
    at(0).waiting.push('2');
    rested();
    expect(events(await stream.read(10, 1))).toEqual(['s0/2']);
    expect(at(0).acknowledged).toEqual(['0', '1']);
  });

  test('is made after the answer of a partition that is just asked for entries', async () => {
    fill(0, 1);
    const read = await stream.read(1, 1);
    at(0).fault = 'hangs';
    const reading = stream.read(1, 1);
    const acknowledging = stream.acknowledge(ids(read));
    at(0).fault = undefined;
    at(0).release();
    await Promise.all([reading, acknowledging]);
    expect(at(0).acknowledged).toEqual(['0']);
  });

  test('refuses an id of no partition', async () => {
    await expect(stream.acknowledge(['1-0'])).rejects.toThrow(RangeError);
    await expect(stream.acknowledge(['1-0.4'])).rejects.toThrow('there is no partition 4');
  });
});

describe('a partition that is away', () => {
  test('does not stop the others, is left alone for a while, and is told once, and once when it is back', async () => {
    at(1).fault = 'away';
    at(2).fault = 'away';
    for (const number of [0, 1, 2]) fill(number, 30);
    for (const expected of [10, 10, 10]) expect(counts(await stream.read(10, 1))).toEqual([expected, 0, 0, 0]);
    expect(at(1).asked).toBe(1);
    rested();
    expect(await stream.read(10, 1)).toEqual([]);
    expect(at(1).asked).toBe(2);
    at(1).fault = undefined;
    at(2).fault = undefined;
    rested();
    expect(counts(await stream.read(60, 1))).toEqual([0, 30, 30, 0]);
    const said = lines.map(({ msg, partitions: numbers }) => [msg, numbers]);
    expect(said).toEqual([
      ['partitions of the usage stream cannot be read; the others go on', [1, 2]],
      ['all partitions of the usage stream are read again', undefined],
    ]);
  });

  test('gives what it delivered in vain before anything new', async () => {
    await stream.read(1, 1);
    fill(0, 2);
    at(0).fault = 'answer lost';
    expect(await stream.read(10, 1)).toEqual([]);
    expect(at(0).taken).toEqual(['0', '1']);
    at(0).fault = undefined;
    at(0).waiting.push('new');
    rested();
    expect(events(await stream.read(10, 1))).toEqual(['s0/0', 's0/1', 's0/new']);
  });

  test('at the start gives what it holds from before, once it is there', async () => {
    at(0).taken.push('before');
    fill(0, 1);
    fill(1, 1);
    at(0).fault = 'away';
    expect(await stream.reclaim(10, 60_000)).toEqual([]);
    expect(events(await stream.read(10, 1))).toEqual(['s1/0']);
    at(0).fault = undefined;
    rested();
    expect(events(await stream.read(10, 1))).toEqual(['s0/before']);
  });

  test('that hangs is not waited for, and what it delivers late comes with the next read', async () => {
    await stream.read(1, 1);
    at(0).fault = 'hangs';
    fill(0, 2);
    fill(1, 1);
    expect(events(await stream.read(10, 1))).toEqual(['s1/0']);
    const { asked } = at(0);
    fill(1, 1);
    expect(events(await stream.read(10, 1))).toEqual(['s1/0']);
    expect(at(0).asked).toBe(asked);
    at(0).fault = undefined;
    at(0).release();
    expect(events(await stream.read(1, 20_000))).toEqual(['s0/0']);
    expect(events(await stream.read(10, 1))).toEqual(['s0/1']);
  });

  test('that hangs does not hold up an acknowledgement', async () => {
    for (const number of [0, 1]) fill(number, 1);
    const read = await stream.read(10, 1);
    at(0).fault = 'hangs';
    await stream.acknowledge(ids(read));
    expect([at(0).taken, at(1).taken]).toEqual([['0'], []]);
    at(0).release();
    await eventually(() => expect(at(0).taken).toEqual([]));
  });

  test('is an error only where all are', async () => {
    for (const one of streams.slice(1)) one.fault = 'away';
    expect(await stream.read(10, 1)).toEqual([]);
    expect(await stream.reclaim(10, 1)).toEqual([]);
    await expect(stream.lag()).rejects.toThrow('away');
    at(0).fault = 'away';
    rested();
    await expect(stream.read(10, 1)).rejects.toThrow('s0: away');
    await expect(stream.reclaim(10, 1)).rejects.toThrow('s0: away');
    await expect(stream.acknowledge(['0-1.0'])).rejects.toThrow('s0: away');
  });
});

test('the lag is the sum, and the age of the oldest of all', async () => {
  for (const number of [0, 2]) fill(number, 3);
  at(0).oldestMs = 5_000;
  at(2).oldestMs = 7_000;
  await stream.read(2, 1);
  expect(await stream.lag()).toEqual({ entries: 6, oldestMs: 7_000 });
});

test('a read that waits ends with the stream’s closing', async () => {
  const waiting = expect(stream.read(1, 60_000)).rejects.toThrow();
  await stream.close();
  await waiting;
});

test('whatever fails and hangs for a while, all is carried over and acknowledged', async () => {
  partitions(8);
  const total = 40;
  for (const number of streams.keys()) fill(number, total);
  const written = new Map<string, number>();
  const faults: (Fault | undefined)[] = ['away', 'answer lost', 'hangs', undefined, 'away'];
  let batches = 0;
  const append = async (entries: StreamEntry[]) => {
    for (const event of events(entries) as string[]) written.set(event, (written.get(event) ?? 0) + 1);
    // A fault begins anywhere: with reads, and with acknowledgements of what is written here.
    const unlucky = at((batches * 3) % 8);
    unlucky.fault = faults[batches++ % faults.length];
    setTimeout(() => {
      unlucky.fault = undefined;
      unlucky.release();
    }, 10);
  };
  const consumer = new Consumer({ stream, append, clock, log: createLog('silent'), batchSize: 20, waitMs: 20 });
  consumer.start();
  await eventually(() => {
    rested();
    for (const { acknowledged, taken, waiting } of streams) {
      expect([waiting, taken]).toEqual([[], []]);
      expect(new Set(acknowledged).size).toBe(total);
    }
  });
  await consumer.stop();
  expect(written.size).toBe(8 * total);
});
