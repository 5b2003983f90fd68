import { Counter, type Registry } from 'prom-client';
import type { UsageReport } from '../../schemas/usage-report.ts';

const ERRORS = ['unknown', 'rate_limited', 'timeout', 'server', 'client'] as const;

/** What callers report of the calls they made: how many failed at the provider, and how. A report that is repeated counts once. */
export class UsageReports {
  readonly #reports: Counter;

  constructor(registry: Registry) {
    this.#reports = new Counter({
      name: 'openclaw_usage_reports_total',
      help: 'Usage reports that were taken in, by the outcome of the call, and of failed ones by what the provider answered.',
      labelNames: ['outcome', 'error'],
      registers: [registry],
    });
    for (const outcome of ['succeeded', 'cancelled']) this.#reports.inc({ outcome, error: 'none' }, 0);
    for (const error of ERRORS) this.#reports.inc({ outcome: 'failed', error }, 0);
  }

  note({ error, outcome }: UsageReport): void {
    this.#reports.inc({ outcome, error: outcome === 'failed' ? errorOf(error?.status) : 'none' });
  }
}

function errorOf(status: number | undefined): (typeof ERRORS)[number] {
  if (status === undefined) return 'unknown';
  if (status === 429) return 'rate_limited';
  if (status === 408 || status === 504) return 'timeout';
  return status >= 500 ? 'server' : 'client';
}
