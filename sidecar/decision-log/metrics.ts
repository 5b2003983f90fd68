import { Counter, Gauge, type Registry } from 'prom-client';
import { DROP_REASONS } from './counts.ts';
import type { OpenDecisionLog } from './open.ts';

/** What became of the decisions that were to be logged, and what waits. */
export function observeDecisionLog(registry: Registry, { decisionLog, http }: OpenDecisionLog): void {
  const { counts } = decisionLog;
  const total = (name: string, help: string, value: () => number) =>
    new Counter({
      name: `openclaw_decision_log_${name}`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  total('decisions_total', 'Decisions that were to be logged.', () => counts.recorded);
  total('mask_failures_total', 'Of these, logged without content: system.log failed.', () => counts.maskFailures);
  new Counter({
    name: 'openclaw_decision_log_dropped_total',
    help: 'Decisions that are not logged, by reason; those that system.log.drop leaves out have the reason policy.',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const reason of DROP_REASONS) this.inc({ reason }, counts.dropped(reason));
    },
  });
  gauge(registry, 'queued', 'Decisions that wait in this process to be written.', () => decisionLog.queued);
  if (!http) return;
  total('uploaded_total', 'Decisions that the service has accepted.', () => counts.uploaded);
  total('upload_failures_total', 'Uploads that the service did not accept.', () => counts.uploadFailures);
  gauge(registry, 'spooled', 'Decisions that wait on the disk for their upload.', () => http.spooled.events);
  gauge(registry, 'spool_bytes', 'What these take.', () => http.spooled.bytes);
}

function gauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name: `openclaw_decision_log_${name}`,
    help,
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}
