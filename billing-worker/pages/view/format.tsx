import type { FC } from 'hono/jsx';
import { exact, fixed, rounded } from '../../pricing/exact.ts';

/** `1,234,567` */
export const grouped = (value: number | bigint | string): string =>
  String(value).replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ','));

/** `$12.50`, `EUR 12.50`; below a cent up to four places, so that a request at $0.0001 is not nothing. */
export function money(amount: string, currency = 'USD'): string {
  const value = exact(amount.replace(/(\.\d{24})\d+$/, '$1'));
  const magnitude = value < 0n ? -value : value;
  const places = value !== 0n && magnitude < exact('0.01') ? 4 : 2;
  const text = fixed(rounded(magnitude, places), places).replace(/(\.\d\d\d*?)0+$/, '$1');
  return `${value < 0n ? '−' : ''}${currency === 'USD' ? '$' : `${currency} `}${grouped(text)}`;
}

/** Used of a capacity: a whole percentage, rounded down, so that 100 % means all of it. */
export const percent = (used: number, capacity: number): number =>
  capacity > 0 ? Math.floor((used / capacity) * 100) : used > 0 ? 100 : 0;

const SPANS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
] as const;

/** `2 d 3 h`, `5 h 20 min`, `less than a minute` */
export function duration(milliseconds: number): string {
  const first = SPANS.findIndex(([size]) => milliseconds >= size);
  if (first < 0) return 'less than a minute';
  let rest = milliseconds;
  const parts = SPANS.slice(first, first + 2).map(([size, name]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? `${count} ${name}` : '';
  });
  return parts.filter(Boolean).join(' ');
}

/** An instant, in UTC, to the minute. Of RFC 3339 or epoch milliseconds. */
export const Time: FC<{ at: string | number | null | undefined; day?: boolean; seconds?: boolean }> = ({
  at,
  day,
  seconds,
}) => {
  if (at === null || at === undefined) return <>–</>;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <>–</>;
  const iso = date.toISOString();
  return <time datetime={iso}>{day ? iso.slice(0, 10) : iso.slice(0, seconds ? 19 : 16).replace('T', ' ')}</time>;
};

/** Sentences for the reasons of decisions. The ledger has `rate_limited` of every limit that refused, also of a budget. */
const REASONS: Record<string, string> = {
  ok: 'Allowed',
  rate_limited: 'A limit was reached',
  budget_exceeded: 'Budget used up',
  over_soft_limit: 'Allowed, over the soft limit',
  routed_cheaper: 'Allowed, on a cheaper model',
  provider_unavailable: 'Provider not available',
  unidentified: 'Caller not identified',
  unknown_tenant: 'Tenant not known',
  unknown_model: 'Model not known',
  revoked_key: 'Key revoked',
  counters_unavailable: 'Counters could not be reached',
  policy_error: 'The policy failed',
};

export const reasonText = (reason: string): string => REASONS[reason] ?? reason;
