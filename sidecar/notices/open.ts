import { Counter, type Registry } from 'prom-client';
import type { Clock } from '../../runtime/clock.ts';
import type { Environment } from '../../runtime/config/environment.ts';
import type { Log } from '../../runtime/log.ts';
import { Notices } from './notices.ts';
import { slack, type Target, webhook } from './target.ts';

export interface OpenNoticesOptions {
  environment: Environment;
  registry: Registry;
  clock: Clock;
  log: Log;
}

/** To wherever NOTIFY_SLACK_URL and NOTIFY_WEBHOOK_URL say; undefined where neither is set. */
export function openNotices({ clock, environment, log, registry }: OpenNoticesOptions): Notices | undefined {
  const { NOTIFY_SLACK_URL, NOTIFY_WEBHOOK_SECRET, NOTIFY_WEBHOOK_URL } = environment;
  const targets: Target[] = [];
  if (NOTIFY_SLACK_URL) targets.push(slack(NOTIFY_SLACK_URL));
  if (NOTIFY_WEBHOOK_URL && NOTIFY_WEBHOOK_SECRET) {
    targets.push(webhook(NOTIFY_WEBHOOK_URL, NOTIFY_WEBHOOK_SECRET, clock));
  }
  if (targets.length === 0) return undefined;
  const notices = new Notices({ targets, log });
  new Counter({
    name: 'openclaw_notices_total',
    help: 'Notices to admins, by where they go and what became of them.',
    labelNames: ['target', 'result'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [target, counts] of Object.entries(notices.counts)) {
        for (const [result, count] of Object.entries(counts)) this.inc({ target, result }, count);
      }
    },
  });
  return notices;
}
