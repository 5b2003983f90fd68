import type { Log } from '../../runtime/log.ts';
import type { DecisionLogCounts } from './counts.ts';
import type { Line, Sink, SinkStatus } from './sink.ts';

/** As OPA marks them, for whoever sorts the lines of standard output. */
const TYPE = 'openpolicyagent.org/decision_logs';

/** A line of its own for each event on the process's log, whatever `LOG_LEVEL` is. */
export class ConsoleSink implements Sink {
  readonly #log: Log;
  readonly #counts: DecisionLogCounts;
  #lost: string | undefined;

  constructor(log: Log, counts: DecisionLogCounts) {
    this.#log = log.child({ type: TYPE }, { level: 'info' });
    this.#counts = counts;
  }

  get status(): SinkStatus {
    return { lost: this.#lost };
  }

  async write(lines: readonly Line[]): Promise<void> {
    for (const { event } of lines) {
      try {
        this.#log.info(event, 'Decision Log');
        this.#lost = undefined;
      } catch (error) {
        this.#counts.drop('console_failed');
        this.#lost = `decisions cannot be written to the console: ${(error as Error).message}`;
      }
    }
  }

  async close(): Promise<void> {}
}
