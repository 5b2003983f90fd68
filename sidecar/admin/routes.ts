import { Hono } from 'hono';
import { requireAdminToken } from '../../runtime/require-admin-token.ts';
import { Refusal } from '../routes/refusal.ts';
import { type BudgetReportDeps, budgetReport } from './budget-report.ts';
import { type CooldownsDeps, cooldownRoutes } from './cooldowns.ts';
import { type GrantsDeps, grantRoutes } from './grants.ts';
import { type KeysDeps, keyRoutes } from './keys.ts';
import { pageSize } from './page-size.ts';

export interface AdminDeps extends BudgetReportDeps, GrantsDeps, KeysDeps, CooldownsDeps {
  store: BudgetReportDeps['store'] & GrantsDeps['store'] & KeysDeps['store'] & CooldownsDeps['store'];
  granted: BudgetReportDeps['granted'] & GrantsDeps['granted'];
  identities: BudgetReportDeps['identities'] & KeysDeps['identities'];
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
      limit: pageSize(c.req.query('limit'), MAX_USERS),
    });
    return c.json({ users, ...(next !== undefined && { next }) });
  });
  app.route('/', grantRoutes(deps));
  app.route('/', keyRoutes(deps));
  app.route('/', cooldownRoutes(deps));
  return app;
}
