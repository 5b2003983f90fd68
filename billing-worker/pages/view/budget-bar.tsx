import type { FC } from 'hono/jsx';
import type { UserRow } from '../data/user-table.ts';
import { Bar } from './bar.tsx';

/** How much of its budget a user has used today, or this month. */
export const BudgetBar: FC<{ row: UserRow; period: 'day' | 'month' }> = ({
  period,
  row: { budget, tenantId, userId },
}) => {
  if (!budget) return <span class="muted">not known</span>;
  const [used, capacity] =
    period === 'day' ? [budget.daily_used, budget.daily_limit] : [budget.monthly_used, budget.monthly_limit];
  return <Bar used={used} capacity={capacity} of={{ tenantId, userId, period }} />;
};
