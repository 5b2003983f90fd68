import type { Limit, Plan } from '../../schemas/policy-io.ts';
import { table } from './table.ts';

const COLUMNS = [
  { title: 'limit' },
  { title: 'kind' },
  { title: 'cost', align: 'right' },
  { title: 'capacity', align: 'right' },
  { title: 'unit' },
  { title: 'again' },
  { title: 'and' },
] as const;

/** What a request draws on, for people. */
export function planView({ candidates, limits, raw_counters, refuse }: Plan): string {
  if (refuse) return `PLAN  refuses: ${refuse.reason}, status ${refuse.status}\n  ${refuse.message}`;
  const common = limits.length ? table(COLUMNS, limits.map(row)) : '  no common limits';
  return [
    `PLAN${raw_counters ? '  the decision sees the numbers' : ''}`,
    common,
    ...candidates.flatMap(({ gates, limits: own, model }) => [
      `  or ${model}${gates.length ? `, gates ${gates.join(', ')}` : ''}`,
      ...(own.length ? [table(COLUMNS, own.map(row))] : []),
    ]),
  ].join('\n');
}

const row = (limit: Limit) => [
  limit.id,
  limit.kind,
  limit.cost,
  limit.capacity,
  limit.unit,
  again(limit),
  remarks(limit),
];

function again(limit: Limit): string {
  if (limit.kind === 'concurrency') return 'when it is reported';
  if (limit.kind === 'window') {
    const { period, reset_time, timezone } = limit.window;
    return `each ${period} at ${reset_time} ${timezone}`;
  }
  const { amount, mode, per_seconds } = limit.refill;
  return `${amount} ${mode === 'interval' ? 'after' : 'in'} ${per_seconds} s`;
}

const remarks = ({ billed, on_exceed, scope, settles, thresholds }: Limit) =>
  [
    billed && 'billed',
    settles && 'settles',
    on_exceed === 'flag' && 'only flags',
    scope !== 'tenant' && scope,
    thresholds.length && `announces ${thresholds.join(', ')} %`,
  ]
    .filter(Boolean)
    .join(', ');
