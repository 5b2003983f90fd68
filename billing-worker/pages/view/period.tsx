import type { FC } from 'hono/jsx';
import { dayAt } from '../../cycles.ts';
import { href, type Query } from './table.tsx';

/** Days of a chart: `from` and `to` half-open. */
export interface DaySpan {
  from: string;
  to: string;
  days: string[];
}

const DAY_MS = 86_400_000;
export const PERIODS = { '7': '7 days', '30': '30 days', '90': '90 days' } as const;

/** The days until today, today included, in a time zone. */
export function lastDays(count: number, now: number, timezone: string): DaySpan {
  const today = Date.parse(dayAt(now, timezone).date);
  const days = Array.from({ length: count }, (_, i) => dateOf(today - (count - 1 - i) * DAY_MS));
  return { from: days[0] ?? dateOf(today), to: dateOf(today + DAY_MS), days };
}

const dateOf = (instant: number) => new Date(instant).toISOString().slice(0, 10);

export const periodOf = (text: string | undefined): keyof typeof PERIODS =>
  text === '7' || text === '90' ? text : '30';

export const MEASURES = { spend: 'Spend', tokens: 'LLM tokens', requests: 'Requests' } as const;
export type Measure = keyof typeof MEASURES;

export const measureOf = (text: string | undefined): Measure =>
  text === 'tokens' || text === 'requests' ? text : 'spend';

/** Links to the same page with another value of a parameter. */
export const Choice: FC<{
  label: string;
  name: string;
  value: string;
  options: Record<string, string>;
  path: string;
  query: Query;
}> = ({ label, name, options, path, query, value }) => (
  <nav class="choice" aria-label={label}>
    {Object.entries(options).map(([each, text]) => (
      <a href={href(path, query, { [name]: each })} {...(each === value && { 'aria-current': 'true' as const })}>
        {text}
      </a>
    ))}
  </nav>
);
