import type { Call } from './day.ts';
import type { Reply } from './fake-provider.ts';

/** What came of the calls of a run. */
export class Tally {
  wanted = 0;
  answered = 0;
  /** By what stands in. */
  rerouted = 0;
  gaveUp = 0;
  /** How often the sidecar said no. */
  denied = 0;
  /** By provider: 429s that our use caused, and those that others' use did. */
  readonly refusals = new Map<string, { own: number; others: number }>();
  readonly #waits: number[] = [];

  refused(model: string, { becauseOfOthers }: Reply): void {
    const provider = model.split('/')[0] ?? '';
    const counts = this.refusals.get(provider) ?? { own: 0, others: 0 };
    counts[becauseOfOthers ? 'others' : 'own'] += 1;
    this.refusals.set(provider, counts);
  }

  accepted(call: Call, model: string, waitedMs: number): void {
    this.answered += 1;
    if (model !== call.model) this.rerouted += 1;
    this.#waits.push(waitedMs);
  }

  get own(): number {
    return [...this.refusals.values()].reduce((sum, { own }) => sum + own, 0);
  }

  get others(): number {
    return [...this.refusals.values()].reduce((sum, { others }) => sum + others, 0);
  }

  /** Seconds from wanting a call to its acceptance, at this share of the answered ones. */
  wait(share: number): number {
    const sorted = this.#waits.toSorted((a, b) => a - b);
    return (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) / 1_000;
  }

  get meanWait(): number {
    return this.#waits.reduce((sum, wait) => sum + wait, 0) / 1_000 / Math.max(1, this.#waits.length);
  }
}
