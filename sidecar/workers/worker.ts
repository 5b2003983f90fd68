import cluster from 'node:cluster';
import { AggregatorRegistry, type Registry } from 'prom-client';
import { NUMBER, type ToPrimary, type ToWorker } from './messages.ts';

/** The primary answers in milliseconds; prom-client gives a worker that does not answer five seconds. */
const PATIENCE_MS = 6_000;

/** One of several sidecars that share a port. */
export class SharingWorker {
  /** From 1 on; one that takes the place of another has its number. */
  readonly number: number;
  readonly #asked = new Map<number, (metrics: string | undefined) => void>();
  #asks = 0;

  /** Undefined where this process is alone. `stop`: the primary wants this one to finish and end. */
  static own(argv: readonly string[], stop: () => void): SharingWorker | undefined {
    const number = argv.find((argument) => argument.startsWith(NUMBER))?.slice(NUMBER.length);
    return cluster.isWorker && number !== undefined ? new SharingWorker(Number(number), stop) : undefined;
  }

  private constructor(number: number, stop: () => void) {
    this.number = number;
    process.on('message', (message: ToWorker) => {
      if ('stop' in message) stop();
      else if ('metrics' in message) this.#asked.get(message.id)?.(message.metrics);
    });
  }

  /** Makes its metrics known to the others: each series with the label `worker`, as of sidecars on several machines. */
  share(registry: Registry): void {
    registry.setDefaultLabels({ worker: String(this.number) });
    AggregatorRegistry.setRegistries([registry]);
    new AggregatorRegistry();
  }

  /** Those of all workers, as Prometheus reads them; undefined if the others cannot be asked. */
  metrics(): Promise<string | undefined> {
    const id = ++this.#asks;
    return new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
      this.#asked.set(id, (metrics) => {
        clearTimeout(timer);
        resolve(metrics);
      });
      const message: ToPrimary = { ask: 'metrics', id };
      process.send?.(message);
    }).finally(() => this.#asked.delete(id));
  }
}
