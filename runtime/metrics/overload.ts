import type { Registry } from 'prom-client';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { Rarely } from '../rarely.ts';
import { totalOf } from './observed.ts';

/** Requests and connections that are turned away because too many are there: counted, and told in the log once a minute. */
export class Overload {
  readonly #log: Log;
  readonly #said: Rarely;
  #refused = 0;

  constructor({ clock, log }: { clock: Clock; log: Log }) {
    this.#log = log;
    this.#said = new Rarely(clock);
  }

  /** One more was turned away. */
  readonly refused = (): void => {
    this.#refused += 1;
    if (this.#said.due()) this.#log.warn('requests or connections are refused: too many at once');
  };

  observe(registry: Registry): void {
    totalOf(
      registry,
      'openclaw_overload_refusals_total',
      'Requests and connections that were turned away because MAX_REQUESTS_IN_FLIGHT or MAX_CONNECTIONS were there.',
      () => this.#refused,
    );
  }
}
