import type { Sql } from 'postgres';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { AttemptResult } from './dispatcher.ts';

const OPEN_SQL = `
select target, count(*) filter (where state = 'pending')::int as pending, count(*) filter (where state = 'failed')::int as failed,
  coalesce(extract(epoch from now() - min(created_at) filter (where state = 'pending')), 0)::float8 as oldest
from invoice_deliveries where state <> 'delivered' group by target`;

/** What waits in the outbox and what was given up, asked for at each scrape; and a counter of attempts. */
export function deliveryMetrics(registry: Registry, targets: readonly string[], sql: Sql) {
  let asked: Promise<OpenRow[]> | undefined;
  const open = () => {
    asked ??= Promise.resolve(sql.unsafe(OPEN_SQL) as PromiseLike<unknown> as Promise<OpenRow[]>).finally(() => {
      asked = undefined;
    });
    return asked;
  };
  const gauge = (name: string, help: string, column: 'pending' | 'failed' | 'oldest') =>
    new Gauge({
      name,
      help,
      labelNames: ['target'],
      registers: [registry],
      async collect() {
        const rows = await open().catch(() => undefined);
        for (const target of targets) {
          this.set({ target }, rows ? (rows.find((row) => row.target === target)?.[column] ?? 0) : Number.NaN);
        }
      },
    });
  gauge('openclaw_invoice_deliveries_pending', 'Invoices and credit notes that are still to be sent.', 'pending');
  gauge('openclaw_invoice_deliveries_oldest_seconds', 'Age of the oldest one that is still to be sent.', 'oldest');
  gauge('openclaw_invoice_deliveries_failed', 'Those that are not tried again by themselves.', 'failed');
  const attempts = new Counter({
    name: 'openclaw_invoice_delivery_attempts_total',
    help: 'Attempts to send an invoice or credit note, by target and result.',
    labelNames: ['target', 'result'],
    registers: [registry],
  });
  return (target: string, result: AttemptResult) => attempts.inc({ target, result });
}

interface OpenRow {
  target: string;
  pending: number;
  failed: number;
  oldest: number;
}
