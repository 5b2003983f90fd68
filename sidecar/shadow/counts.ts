import { Counter, type Registry } from 'prom-client';
import { DIFFERENCES, type Difference, type Verdict } from '../simulation/verdict.ts';

/** How often the shadow policy would have answered differently, and what would have been billed. */
export class ShadowCounts {
  readonly #compared: Record<Difference, number>;
  #skipped = 0;
  #billed = { live: 0, shadow: 0 };

  constructor(registry: Registry) {
    this.#compared = Object.fromEntries(DIFFERENCES.map((name) => [name, 0])) as Record<Difference, number>;
    const compared = () => ({ ...this.#compared });
    const billed = () => ({ ...this.#billed });
    const skipped = () => this.#skipped;
    new Counter({
      name: 'openclaw_shadow_decisions_total',
      help: 'Decisions that the shadow policy was asked for too, by how it differs.',
      labelNames: ['difference'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [difference, count] of Object.entries(compared())) this.inc({ difference }, count);
      },
    });
    new Counter({
      name: 'openclaw_shadow_billed_total',
      help: 'What the compared decisions are billed for, in the unit of their billed limits, by policy.',
      labelNames: ['policy'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [policy, amount] of Object.entries(billed())) this.inc({ policy }, amount);
      },
    });
    new Counter({
      name: 'openclaw_shadow_skipped_total',
      help: 'Decisions that were not compared, because too many comparisons were under way.',
      registers: [registry],
      collect() {
        this.reset();
        this.inc(skipped());
      },
    });
  }

  add(difference: Difference, live: Verdict, shadow: Verdict): void {
    this.#compared[difference] += 1;
    this.#billed.live += live.billed;
    this.#billed.shadow += shadow.billed;
  }

  skip(): void {
    this.#skipped += 1;
  }
}
