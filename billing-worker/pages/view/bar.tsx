import type { FC } from 'hono/jsx';
import type { LimitNow } from '../data/limits-now.ts';
import { duration, grouped, money, percent, Time } from './format.tsx';

interface BarProps {
  used: number;
  /** Null: there is no limit. */
  capacity: number | null;
  unit?: string;
  /** By which the live script finds it. */
  of?: { tenantId: string; userId: string; period: 'day' | 'month' } | undefined;
}

/** From here on it is worth a look; a budget announces its thresholds at 75 and 90 by default. */
const WARN_PERCENT = 75;

export const levelOf = (used: number, capacity: number): 'ok' | 'warn' | 'over' => {
  const share = percent(used, capacity);
  return share >= 100 ? 'over' : share >= WARN_PERCENT ? 'warn' : 'ok';
};

/** How much of a budget is used: a picture, and the same in words. */
export const Bar: FC<BarProps> = ({ capacity, of, unit = 'tokens', used }) => {
  if (capacity === null) return <span class="muted">no limit</span>;
  const share = percent(used, capacity);
  const place = of && {
    'data-tenant': of.tenantId,
    'data-limit': `user:${of.userId}:tokens:${of.period}`,
    'data-capacity': String(capacity),
  };
  return (
    <div class={`bar ${levelOf(used, capacity)}`} {...place}>
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <rect class="track" width="100" height="8" />
        <rect class="fill" width={String(Math.min(100, share))} height="8" />
      </svg>
      <span class="said">
        <span class="used">{amount(used, unit)}</span> of {amount(capacity, unit)} <span class="share">({share}%)</span>
      </span>
    </div>
  );
};

/** Billionths of a dollar are shown as dollars. */
const amount = (value: number, unit: string): string =>
  unit === 'usd'
    ? money(
        (BigInt(Math.round(value)) / 1_000n)
          .toString()
          .padStart(7, '0')
          .replace(/(\d{6})$/, '.$1'),
      )
    : grouped(value);

const PERIODS: Record<string, string> = {
  day: 'today',
  week: 'this week',
  month: 'this month',
  hour: 'this hour',
  minute: 'this minute',
};
const SUBJECTS: Record<string, string> = {
  tenant: 'Tenant',
  user: 'User',
  team: 'Team',
  department: 'Department',
  project: 'Project',
};
const UNITS: Record<string, string> = { tokens: 'tokens', requests: 'requests', usd: 'spend', concurrent: 'at once' };

/** `User tokens, today`; a bucket has no period. */
function limitName({ period, subject, unit }: LimitNow): string {
  const what = `${SUBJECTS[subject] ?? subject} ${UNITS[unit] ?? unit}`;
  if (period !== undefined) return `${what}, ${PERIODS[period] ?? period}`;
  return unit === 'tokens' ? `${SUBJECTS[subject] ?? subject} bucket` : what;
}

/** What is left of each limit, and when there is more. */
export const Limits: FC<{ limits: readonly LimitNow[]; now: number; tenantId: string; userId?: string }> = ({
  limits,
  now,
  tenantId,
  userId,
}) => (
  <ul class="tiles" id="limits" data-fresh>
    {limits.map((limit) => {
      const { period } = limit;
      const isLive = userId !== undefined && limit.subject === 'user' && limit.unit === 'tokens';
      const of =
        isLive && (period === 'day' || period === 'month') ? ({ tenantId, userId, period } as const) : undefined;
      return (
        <li class="card tile">
          <h3>{limitName(limit)}</h3>
          <p class="figure">
            {amount(limit.remaining, limit.unit)} <span class="muted">left</span>
          </p>
          <Bar
            used={Math.max(0, limit.capacity - limit.remaining)}
            capacity={limit.capacity}
            unit={limit.unit}
            of={of}
          />
          <p class="muted small">
            {limit.remaining >= limit.capacity ? (
              'Full'
            ) : (
              <>
                {limit.period === undefined ? 'Refills' : 'Resets'} in {duration(limit.resetAt - now)}:{' '}
                <Time at={limit.resetAt} />
              </>
            )}
          </p>
        </li>
      );
    })}
  </ul>
);
