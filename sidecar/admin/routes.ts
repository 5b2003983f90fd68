import { Hono } from 'hono';
import { requireAdminToken } from '../../runtime/require-admin-token.ts';
import { Refusal } from '../routes/refusal.ts';
import { type BudgetReportDeps, budgetReport } from './budget-report.ts';
import { type GrantsDeps, grantRoutes } from './grants.ts';

export interface AdminDeps extends BudgetReportDeps, GrantsDeps {
  store: BudgetReportDeps['store'] & GrantsDeps['store'];
  granted: BudgetReportDeps['granted'] & GrantsDeps['granted'];
  /** Undefined: the routes are closed, and say how to open them. */
  adminToken: string | undefined;
}

const MAX_USERS = 1_000;
const DEFAULT_PACKAGE = 'openclaw/rate_limit';

/**
 * `GET /api/admin/budgets`: where each user stands. `?user_id=` and `?tenant_id=` choose; `?limit=` users at most (1,000),
 * and where there are more, `next` in the answer is the `?after=` of the next page.
 */
export function adminRoutes(deps: AdminDeps): Hono {
  const app = new Hono();
  app.use('/api/admin/*', requireAdminToken(deps.adminToken));
  app.get('/api/admin/budgets', async (c) => {
    const { metered } = deps.policy();
    const pkg = c.req.query('package') ?? (metered.has(DEFAULT_PACKAGE) ? DEFAULT_PACKAGE : ([...metered][0] ?? ''));
    if (!metered.has(pkg)) {
      const known = [...metered].join(', ') || 'none';
      throw new Refusal(
        400,
        'invalid_parameter',
        `package: there is no metered package ${JSON.stringify(pkg)}; there is ${known}`,
      );
    }
    const { next, users } = await budgetReport(deps, {
      pkg,
      userId: c.req.query('user_id'),
      tenantId: c.req.query('tenant_id'),
      after: c.req.query('after'),
      limit: pageSize(c.req.query('limit')),
    });
    return c.json({ users, ...(next !== undefined && { next }) });
  });
  app.route('/', grantRoutes(deps));
  return app;
}

function pageSize(text: string | undefined): number {
  if (text === undefined) return MAX_USERS;
  const size = Number(text);
  if (/^\d+$/.test(text) && size >= 1 && size <= MAX_USERS) return size;
  throw new Refusal(400, 'invalid_parameter', `limit: must be a whole number from 1 to ${MAX_USERS}`);
}
