import type { Log } from '../../runtime/log.ts';
import type { DecisionLogCounts } from './counts.ts';
import type { Line, Sink } from './sink.ts';

/** As OPA marks them, for whoever sorts the lines of standard output. */
const TYPE = 'openpolicyagent.org/decision_logs';

/** A line of its own for each event on the process's log, whatever `LOG_LEVEL` is. */
export class ConsoleSink implements Sink {
  readonly #log: Log;
  readonly #counts: DecisionLogCounts;

  constructor(log: Log, counts: DecisionLogCounts) {
    this.#log = log.child({ type: TYPE }, { level: 'info' });
    this.#counts = counts;
  }

  async write(lines: readonly Line[]): Promise<void> {
    for (const { event } of lines) {
      try {
        this.#log.info(event, 'Decision Log');
      } catch {
        this.#counts.drop('console_failed');
      }
    }
  }

  async close(): Promise<void> {}
}
