import { LRUCache } from 'lru-cache';
import { AskedAgain } from '../asked-again.ts';

/**
 * Evaluations remembered, and the longest input text and answer that are, in characters. Together with their answers
 * they take 64 Mi characters at most.
 */
const MAX_ENTRIES = 6_000;
const MAX_INPUT = 8_192;
const MAX_ANSWER = 65_536;
const MAX_TOTAL = 64 * 1024 * 1024;

/** How often what was asked was known. Of all policies together: it goes on over a reload. */
export interface MemoCounts {
  hits: number;
  misses: number;
}

/** Answers of a pure policy by entrypoint and input. Two who ask the same at once wait for one evaluation. */
export class Memo {
  readonly #known = new LRUCache<string, object>({ max: MAX_ENTRIES, maxSize: MAX_TOTAL });
  readonly #askedAgain = new AskedAgain(MAX_ENTRIES);
  readonly #awaited = new Map<string, Promise<object>>();
  readonly #counts: MemoCounts;

  constructor(counts: MemoCounts) {
    this.#counts = counts;
  }

  get size(): number {
    return this.#known.size;
  }

  /** At once where it is known. A failure is not remembered. */
  get<Document extends object>(
    entrypoint: string,
    input: string,
    evaluate: () => Promise<Document>,
  ): Document | Promise<Document> {
    if (input.length > MAX_INPUT) return evaluate();
    const key = `${entrypoint} ${input}`;
    const known = this.#known.get(key) ?? this.#awaited.get(key);
    if (known) {
      this.#counts.hits++;
      return known as Document | Promise<Document>;
    }
    this.#counts.misses++;
    // All who wait for it go on in the order in which they asked.
    const fresh = this.#remembered(key, evaluate());
    this.#awaited.set(key, fresh);
    return fresh;
  }

  /** What was answered in another way than by asking here. */
  hit(): void {
    this.#counts.hits++;
  }

  async #remembered<Document extends object>(key: string, fresh: Promise<Document>): Promise<Document> {
    try {
      const document = await fresh;
      this.#remember(key, document);
      return document;
    } finally {
      this.#awaited.delete(key);
    }
  }

  /** Once it is full only what is asked for again. */
  #remember(key: string, document: object): void {
    if (this.#known.size >= MAX_ENTRIES && !this.#askedAgain.is(key)) return;
    const answer = JSON.stringify(document).length;
    if (answer <= MAX_ANSWER) this.#known.set(key, document, { size: key.length + answer });
  }
}
