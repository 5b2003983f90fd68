import type { LimitOutcome, Outcome } from '../../schemas/policy-io.ts';
import { table } from './table.ts';

const COLUMNS = [
  { title: 'limit' },
  { title: 'before', align: 'right' },
  { title: 'after', align: 'right' },
  { title: 'left', align: 'right' },
  { title: 'empty again at' },
  { title: 'and' },
] as const;

/** What the take came to, for people. */
export function takeView(outcome: Outcome | undefined): string {
  if (!outcome) return 'TAKE  the counters were not asked';
  const { candidate, closed, granted, limits } = outcome;
  return [
    `TAKE  ${granted ? 'granted' : 'refused, so nothing was taken'}${candidate === null ? '' : `, chosen ${candidate}`}`,
    ...closed.map(({ candidate: model, gate }) => `  ${model} was passed over: ${gate}`),
    ...(limits.length ? [table(COLUMNS, limits.map(row))] : []),
  ].join('\n');
}

const row = (limit: LimitOutcome) => [
  limit.id,
  limit.before,
  limit.used,
  limit.remaining,
  new Date(limit.reset_at).toISOString(),
  remarks(limit),
];

const remarks = ({ crossed, granted, over, retry_after_ms }: LimitOutcome) =>
  [
    !granted && (retry_after_ms === null ? 'SHORT, for good' : `SHORT, room in ${Math.ceil(retry_after_ms / 1000)} s`),
    granted && over && 'over',
    crossed.length && `crossed ${crossed.join(', ')} %`,
  ]
    .filter(Boolean)
    .join(', ');
