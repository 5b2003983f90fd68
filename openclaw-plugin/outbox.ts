import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Question, UsageReport } from './sidecar.ts';

/** What the sidecar is still to be told. Amounts and names, never a word of the conversation. */
export interface Entry {
  /** Undefined: no decision could be had; the question is put again first. */
  decisionId?: string;
  question?: Question;
  report: UsageReport;
}

/** `gone`: it is told, or never can be. `later`: try again. */
export type Sent = 'gone' | 'later';

interface OutboxOptions {
  folder: string;
  pid: number;
  /** Tells this file from one of another process that had the same id. */
  unique: string;
  isAlive(pid: number): boolean;
  send(entry: Entry): Promise<Sent>;
  warn(line: string): void;
  /** How long to wait after this many failures in a row. */
  waitMs?(failures: number): number;
}

const MOST = 10_000;
/** So many that are done are taken out of the file at once, where others still wait. */
const REWRITE_AT = 1_000;

/**
 * What must be reported, on disk from before it is sent until it is told: one line each, and one more when it is done. A
 * process has a file of its own, named after it; the files of those that are dead are taken over, whole or torn.
 * The sidecar takes the same report once, so what was sent and not yet marked does no harm.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #file: string;
  #send: OutboxOptions['send'];
  readonly #waiting = new Map<number, Entry>();
  #next = 1;
  #done = 0;
  #dropped = 0;
  #failures = 0;
  #sending: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#send = options.send;
    this.#file = join(options.folder, `usage-${options.pid}-${options.unique}.jsonl`);
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  }

  /** How many wait to be told. */
  get size(): number {
    return this.#waiting.size;
  }

  /** How many had to be given up because too many waited. */
  get dropped(): number {
    return this.#dropped;
  }

  /** From now on by another way, such as with a new token. */
  sendBy(send: OutboxOptions['send']): void {
    this.#send = send;
    this.#failures = 0;
  }

  /** Resolves when it has been tried; on disk at once. */
  async add(entry: Entry): Promise<void> {
    this.#keep(entry);
    // After failures the timer says when to try again, else every run of an outage would wait for a dead server.
    if (this.#failures === 0) await this.flush();
  }

  /** Tells all that waits, the oldest first, until one cannot be told. */
  flush(): Promise<void> {
    this.#sending ??= this.#flush().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  /** Takes over what processes left behind that are no more. */
  adopt(): void {
    const { folder, isAlive, pid } = this.#options;
    for (const name of readdirSync(folder)) {
      const owner = Number(/^usage-(\d+)-[\w-]+\.jsonl$/.exec(name)?.[1]);
      const path = join(folder, name);
      // In a container the process before had the same id as this one.
      if (!owner || path === this.#file || (owner !== pid && isAlive(owner))) continue;
      // Of this name, so that the next process finds it if this one ends here.
      const mine = this.#file.replace(/\.jsonl$/, `-of-${owner}.jsonl`);
      try {
        renameSync(path, mine);
      } catch {
        continue;
      }
      for (const entry of entriesOf(readFileSync(mine, 'utf8'))) this.#keep(entry);
      rmSync(mine);
    }
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer);
    for (const [id, entry] of this.#waiting) {
      const sent = await this.#send(entry).catch((): Sent => 'later');
      if (sent === 'later') return this.#tryLater();
      this.#failures = 0;
      this.#forget(id);
    }
  }

  #tryLater(): void {
    this.#failures++;
    const wait = this.#options.waitMs?.(this.#failures) ?? Math.min(60_000, 500 * 2 ** Math.min(this.#failures, 10));
    this.#timer = setTimeout(() => void this.flush(), wait);
    this.#timer.unref();
  }

  #keep(entry: Entry): void {
    const id = this.#next++;
    this.#waiting.set(id, entry);
    appendFileSync(this.#file, `${JSON.stringify({ id, entry })}\n`, { mode: 0o600 });
    if (this.#waiting.size <= MOST) return;
    const [oldest] = this.#waiting.keys();
    if (oldest !== undefined) this.#forget(oldest);
    if (this.#dropped++ % 100 === 0)
      this.#options.warn(`more than ${MOST} usage reports wait: the oldest are given up`);
  }

  #forget(id: number): void {
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) {
      truncateSync(this.#file);
      this.#done = 0;
      return;
    }
    appendFileSync(this.#file, `${JSON.stringify({ done: id })}\n`);
    if (++this.#done >= REWRITE_AT) this.#rewrite();
  }

  #rewrite(): void {
    const lines = [...this.#waiting].map(([id, entry]) => `${JSON.stringify({ id, entry })}\n`);
    writeFileSync(`${this.#file}.new`, lines.join(''), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
    this.#done = 0;
  }
}

/** Of a file that a process left behind: what is not marked as done. A line that was cut off is passed over. */
function entriesOf(text: string): Entry[] {
  const waiting = new Map<number, Entry>();
  for (const line of text.split('\n')) {
    try {
      const { done, entry, id } = JSON.parse(line);
      if (done === undefined) waiting.set(id, entry);
      else waiting.delete(done);
    } catch {}
  }
  return [...waiting.values()];
}
