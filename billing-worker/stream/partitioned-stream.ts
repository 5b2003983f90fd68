import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { StreamEntry, StreamLag, UsageStream } from '../../schemas/usage-stream.ts';
import { Partition, type Question } from './partition.ts';

/** Between reads that find nothing; doubled each time, because each is a command to every partition. */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1_000;

/** Who has not answered by then does not hold up the others: a node that hangs is given up only after seconds. */
const PATIENCE_MS = 250;

export interface PartitionedStreamDeps {
  clock: Clock;
  log: Log;
}

/**
 * The usage streams of all partitions as one; `streams[n]` is that of partition n, and `read` with no time to wait
 * answers at once. An entry's id ends with the number of its partition, because each counts its ids by itself.
 */
export class PartitionedStream implements UsageStream {
  readonly #streams: UsageStream[];
  readonly #partitions: Partition[];
  readonly #log: Log;
  readonly #closed = new AbortController();
  /** Partitions that the log says are away. */
  readonly #said = new Set<number>();
  /** Who is asked first, the next time. */
  #first = 0;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(streams: UsageStream[], { clock, log }: PartitionedStreamDeps) {
    this.#streams = streams;
    this.#partitions = streams.map((stream) => new Partition(stream, clock));
    this.#log = log;
  }

  /** 64 connections that wait would be dear, so the partitions are asked again and again. */
  async read(count: number, waitMs: number): Promise<StreamEntry[]> {
    let left = waitMs;
    do {
      const entries = await this.#gather(count, (stream, share) => stream.read(share, 0));
      if (entries.length) {
        this.#pauseMs = FIRST_PAUSE_MS;
        return entries;
      }
      left -= await this.#pause(left);
    } while (left > 0);
    return [];
  }

  async #pause(longest: number): Promise<number> {
    const pause = Math.min(this.#pauseMs, longest);
    await sleep(pause, undefined, { signal: this.#closed.signal });
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    return pause;
  }

  reclaim(count: number, idleMs: number): Promise<StreamEntry[]> {
    return this.#gather(count, (stream, share) => stream.reclaim(share, idleMs));
  }

  /** An equal share of each; what some do not need is shared again by those who have more. */
  async #gather(count: number, question: Question): Promise<StreamEntry[]> {
    const entries: StreamEntry[] = [];
    let waiting = this.#inTurn();
    while (waiting.length && entries.length < count) {
      const asked = waiting.slice(0, count - entries.length);
      const share = Math.floor((count - entries.length) / asked.length);
      const answers = await this.#together((patience) =>
        asked.map((number) => this.#partition(number).next(share, question, patience)),
      );
      entries.push(...answers.flatMap((some, index) => some.map((entry) => numbered(entry, asked[index] as number))));
      this.#first = (this.#first + asked.length) % this.#partitions.length;
      waiting = [...waiting.slice(asked.length), ...asked.filter((_, index) => answers[index]?.length === share)];
    }
    if (!entries.length) this.#throwIfAllFail();
    return entries;
  }

  /** Where a partition cannot be reached, its ids are kept, and acknowledged when it is back. */
  async acknowledge(ids: string[]): Promise<void> {
    const own = new Map<Partition, string[]>();
    for (const { id, number } of ids.map(parse)) {
      const partition = this.#partition(number);
      const some = own.get(partition);
      if (some) some.push(id);
      else own.set(partition, [id]);
    }
    await this.#together((patience) => [...own].map(([partition, some]) => partition.acknowledge(some, patience)));
    this.#throwIfAllFail();
  }

  async lag(): Promise<StreamLag> {
    const lags = await Promise.all(this.#streams.map((stream) => stream.lag()));
    return {
      entries: lags.reduce((sum, { entries }) => sum + entries, 0),
      oldestMs: Math.max(...lags.map(({ oldestMs }) => oldestMs)),
    };
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.all(this.#streams.map((stream) => stream.close()));
  }

  #partition(number: number): Partition {
    const partition = this.#partitions[number];
    if (!partition) throw new RangeError(`there is no partition ${number}`);
    return partition;
  }

  #inTurn(): number[] {
    const { length } = this.#partitions;
    return Array.from({ length }, (_, index) => (this.#first + index) % length);
  }

  /** At the same time, and for as long as patience lasts. */
  async #together<Answer>(ask: (patience: Promise<void>) => Promise<Answer>[]): Promise<Answer[]> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    const answers = await Promise.all(ask(patience)).finally(() => clearTimeout(timer));
    this.#sayWhoIsAway();
    return answers;
  }

  #throwIfAllFail(): void {
    const failures = this.#partitions.map(({ failure }) => failure);
    if (failures.every((failure) => failure !== undefined)) throw failures[0];
  }

  /** One line when partitions go away, one when the last of them is back. All of them are told by what is thrown. */
  #sayWhoIsAway(): void {
    const away = this.#partitions.flatMap(({ failure }, number) => (failure === undefined ? [] : [number]));
    if (away.length === this.#partitions.length) return;
    const more = away.filter((number) => !this.#said.has(number));
    if (more.length) {
      const err = this.#partition(more[0] as number).failure;
      this.#log.error({ err, partitions: more }, 'partitions of the usage stream cannot be read; the others go on');
    } else if (!away.length && this.#said.size) {
      this.#log.info('all partitions of the usage stream are read again');
      this.#said.clear();
    }
    for (const number of more) this.#said.add(number);
  }
}

const numbered = (entry: StreamEntry, partition: number): StreamEntry => ({ ...entry, id: `${entry.id}.${partition}` });

function parse(numberedId: string): { id: string; number: number } {
  const dot = numberedId.lastIndexOf('.');
  return { id: numberedId.slice(0, dot), number: Number(numberedId.slice(dot + 1)) };
}
