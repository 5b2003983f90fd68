import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import { Rarely } from '../../runtime/rarely.ts';

/** Counts what was denied because no more grants may be remembered, and says once a minute what helps. */
export class RecordsFullAlarm {
  readonly #log: Log;
  readonly #rarely: Rarely;
  #denied = 0;

  constructor(clock: Clock, log: Log) {
    this.#log = log;
    this.#rarely = new Rarely(clock);
  }

  get denied(): number {
    return this.#denied;
  }

  raise(error: Error): void {
    this.#denied += 1;
    if (!this.#rarely.due()) return;
    this.#log.error(
      { denied: this.#denied },
      `requests are denied: ${error.message}. Each is remembered for 24 hours. If the store has the memory (about 1 kB ` +
        'for each), raise MAX_DECISION_RECORDS; if not, send request_id only where a request may be repeated',
    );
  }
}
