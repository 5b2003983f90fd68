import { Counter, Gauge, type Registry } from 'prom-client';

/** What is counted elsewhere, as it is when somebody looks. */
export function totalOf(registry: Registry, name: string, help: string, value: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(value());
    },
  });
}

export function gaugeOf(registry: Registry, name: string, help: string, value: () => number | Promise<number>): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    async collect() {
      this.set(await value());
    },
  });
}

/** `<name>{…}` 1, with what cannot be said by a number in its labels; nothing where there are none. */
export function infoOf<Label extends string>(
  registry: Registry,
  { help, labelNames, name }: { name: string; help: string; labelNames: readonly Label[] },
  labels: () => Record<Label, string> | undefined,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      const now = labels();
      if (now) this.set(now, 1);
    },
  });
}

/** One question for all metrics of a scrape that need its answer. */
export function oncePerScrape<Answer>(ask: () => Promise<Answer>): () => Promise<Answer> {
  let asked: Promise<Answer> | undefined;
  return () => {
    asked ??= ask().finally(() => {
      asked = undefined;
    });
    return asked;
  };
}

/**
 * Counters of things that are seldom, or that nobody knows before, begin with a 0 at the first scrape that shows them: of a series that
 * began with a number, Prometheus' `increase` would not know that it had increased.
 */
export class FromZero {
  readonly #begun = new Set<string>();

  /** What to show of a series. */
  at(series: string, value: number): number {
    if (this.#begun.has(series)) return value;
    this.#begun.add(series);
    return 0;
  }
}
