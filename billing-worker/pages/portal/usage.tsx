import { Hono } from 'hono';
import type { PagesDeps } from '../deps.ts';
import { page } from '../respond.tsx';
import { type PageEnv, tenantOf } from '../session/guard.ts';
import { href } from '../view/table.tsx';
import { readUsage, UsageChart, UsageSums } from '../view/usage.tsx';

const CSVS = ['day', 'user', 'model', 'team'] as const;

/** `/portal/usage`: over time, by user, by model and by team; and as CSV. */
export function portalUsageRoutes(deps: PagesDeps): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get('/portal/usage', async (c) => {
    const { by, days, measure } = c.req.query();
    const series = by === 'user' || by === 'team' ? by : 'model';
    const view = await readUsage(
      { tenantId: tenantOf(c), series, sums: ['user', 'model', 'team'], days, measure },
      deps,
    );
    return page(
      c,
      { title: 'Usage', current: 'Usage' },
      <>
        <div class="head">
          <h1>Usage</h1>
          <p>
            Download as CSV, this billing cycle:{' '}
            {CSVS.map((group, index) => (
              <>
                {index > 0 && ' · '}
                <a href={`/portal/usage.csv?group_by=${group}`} download>
                  by {group}
                </a>
              </>
            ))}
          </p>
        </div>
        <UsageChart view={view} path="/portal/usage" query={{ days, measure, by }} title={`by ${series}`} />
        <p class="muted">
          Coloured by{' '}
          {(['model', 'user', 'team'] as const).map((group, index) => (
            <>
              {index > 0 && ' · '}
              <a
                href={href('/portal/usage', { days, measure, by: group })}
                {...(group === series && { 'aria-current': 'true' as const })}
              >
                {group}
              </a>
            </>
          ))}
        </p>
        {view.sums.map(({ by: group, rows }) => (
          <>
            <h2>By {group}</h2>
            <UsageSums
              by={group}
              rows={rows}
              currency={view.currency}
              {...(group === 'user' && { hrefOf: (key: string) => href('/portal/user', { user_id: key }) })}
            />
          </>
        ))}
      </>,
    );
  });
  return app;
}
