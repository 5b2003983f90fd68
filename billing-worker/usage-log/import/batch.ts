import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { z } from 'zod';
import type { GatewayRequest } from '../gateway-request.ts';
import type { Ask } from './ask.ts';
import type { Counts } from './counts.ts';
import { type Patience, patiently } from './patiently.ts';

const MOST_ROWS = 1_000;
const MOST_BYTES = 512 * 1_024;
/** What goes into one packet is sent as it is. */
const WORTH_PACKING_BYTES = 1_400;

const pack = promisify<Buffer, { level: number }, Buffer>(gzip);

const answerSchema = z.object({
  new: z.int(),
  known: z.int(),
  unreadable: z.array(z.object({ line: z.int(), message: z.string() })),
});

/** Requests on their way to the billing worker, a bounded number at once. */
export class Batch {
  readonly #worker: Ask;
  readonly #patience: Patience;
  #rows: string[] = [];
  #bytes = 0;
  /** Where each row was in the file. */
  #lines: number[] = [];

  constructor(worker: Ask, patience: Patience) {
    this.#worker = worker;
    this.#patience = patience;
  }

  get isFull(): boolean {
    return this.#rows.length >= MOST_ROWS || this.#bytes >= MOST_BYTES;
  }

  add(request: GatewayRequest, line: number): void {
    const row = JSON.stringify(request);
    this.#rows.push(row);
    this.#bytes += row.length;
    this.#lines.push(line);
  }

  /** Resolves when the worker has committed them. What throws may be committed all the same: sent again it changes nothing. */
  async send(counts: Counts): Promise<void> {
    if (this.#rows.length === 0) return;
    const body = Buffer.from(this.#rows.join('\n'));
    const packed = body.length > WORTH_PACKING_BYTES;
    const init = {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-ndjson', ...(packed && { 'Content-Encoding': 'gzip' }) },
      body: packed ? await pack(body, { level: 1 }) : body,
    };
    const text = await patiently(() => this.#worker('/v1/usage-log', init), this.#patience);
    const answer = answerSchema.parse(JSON.parse(text));
    counts.new += answer.new;
    counts.known += answer.known;
    for (const { line, message } of answer.unreadable) counts.cannotRead(this.#lines[line - 1] ?? 0, message);
    this.#rows = [];
    this.#bytes = 0;
    this.#lines = [];
  }
}
