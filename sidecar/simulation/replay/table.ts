import Table from 'cli-table3';
import type { Difference } from '../verdict.ts';
import { SKIPPED } from './recorded-decision.ts';
import type { ReplaySummary } from './report.ts';

/** So many callers are shown; JSON has them all. */
const MAX_CALLERS = 20;
const MAX_LINES = 5;

const SHOWN: [Difference, string][] = [
  ['would_deny', 'denied'],
  ['would_allow', 'allowed'],
  ['would_reroute', 're-routed'],
  ['would_differ', 'other'],
  ['would_fail', 'failed'],
];

const HEAD = ['tenant', 'user', 'decisions', ...SHOWN.map(([, word]) => word), 'USD then', 'USD now', 'change'];

/** A replay for people. */
export function replayTable(summary: ReplaySummary): string {
  const { callers, decisions, differences, from, revision, to } = summary;
  if (decisions === 0) return ['No decision to replay.', ...notes(summary)].join('\n');
  const table = new Table({
    head: HEAD,
    colAligns: HEAD.map((_, column) => (column < 2 ? 'left' : 'right')),
    style: { head: [], border: [] },
  });
  for (const caller of callers.slice(0, MAX_CALLERS)) {
    table.push(row([caller.tenant_id, caller.user_id ?? '–'], caller));
  }
  table.push(row(['all', ''], summary));
  const same = `${differences.same} of ${decisions} decisions would be the same`;
  return [`Policy ${revision}, from ${from} to ${to}: ${same}.`, table.toString(), ...notes(summary)].join('\n');
}

type Sums = Pick<ReplaySummary, 'decisions' | 'differences' | 'cost_usd'>;

const row = (who: string[], { cost_usd, decisions, differences }: Sums) => [
  ...who,
  decisions,
  ...SHOWN.map(([difference]) => differences[difference] || ''),
  cost_usd.recorded,
  cost_usd.candidate,
  cost_usd.difference,
];

function notes({ callers, failures, missing, skipped }: ReplaySummary): string[] {
  const left = callers.length - MAX_CALLERS;
  return [
    ...(left > 0 ? [`${left} more who asked are in the JSON: --json`] : []),
    ...failures.slice(0, MAX_LINES).map(({ decisions, message }) => `failed ${decisions} times: ${message}`),
    ...missing
      .slice(0, MAX_LINES)
      .map(
        ({ decisions, pointer }) =>
          `${pointer} is not in the log of ${decisions} decisions: a policy sees nothing there`,
      ),
    ...Object.entries(skipped).map(([why, lines]) => `${lines} lines skipped: ${SKIPPED[why as keyof typeof SKIPPED]}`),
  ];
}
