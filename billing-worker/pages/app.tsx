import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { holdsNul, isAway } from '../database/errors.ts';
import { auditRoutes } from './admin/audit.tsx';
import { grantRoutes } from './admin/grants.tsx';
import { invoiceRoutes } from './admin/invoices.tsx';
import { keyRoutes } from './admin/keys.tsx';
import { ledgerRoutes } from './admin/ledger.tsx';
import { providerRoutes } from './admin/providers.tsx';
import { adminSignIn } from './admin/sign-in.tsx';
import { tenantRoutes } from './admin/tenant.tsx';
import { tenantListRoutes } from './admin/tenants.tsx';
import { userRoutes } from './admin/user.tsx';
import { userListRoutes } from './admin/users.tsx';
import { assetRoutes } from './assets.ts';
import { SidecarApi } from './data/sidecar-api.ts';
import { UserTable } from './data/user-table.ts';
import type { PagesDeps, PagesOptions, WorkerParts } from './deps.ts';
import { liveMoves } from './live.ts';
import { portalInvoiceRoutes } from './portal/invoices.tsx';
import { portalKeyRoutes } from './portal/keys.tsx';
import { overviewRoutes } from './portal/overview.tsx';
import { portalSignIn } from './portal/sign-in.tsx';
import { portalUsageRoutes } from './portal/usage.tsx';
import { portalUserRoutes } from './portal/users.tsx';
import { formRefused, notFound, page, problem } from './respond.tsx';
import { forgetSecret, getSecret } from './session/cookies.ts';
import { type Area, identify, type PageContext, type PageEnv, signedIn, tenantOf } from './session/guard.ts';
import { OnceForms } from './session/once-forms.ts';
import { Sessions } from './session/sessions.ts';
import { SignInAttempts } from './session/sign-in-attempts.ts';
import { usageCsvRoute } from './usage-csv.ts';

/** Forms are small. */
const MAX_FORM_BYTES = 16_384;

/** `/admin` and `/portal`, and what both look like. */
export function pagesApp(parts: WorkerParts, { opaToken, people, sidecarUrl }: PagesOptions): Hono {
  const sidecar = new SidecarApi({ url: sidecarUrl, adminToken: parts.adminToken, opaToken });
  const deps: PagesDeps = {
    ...parts,
    sidecar,
    sessions: new Sessions(parts),
    attempts: new SignInAttempts(parts.clock),
    once: new OnceForms(),
    userTable: new UserTable({ ...parts, people, sidecar }),
  };
  const app = new Hono();
  app.route('/', assetRoutes());
  app.route('/', area('admin', deps, [adminSignIn(deps)], adminPages(deps)));
  app.route('/', area('portal', deps, [portalSignIn(deps)], portalPages(deps)));
  return app;
}

/** Pages for everybody, then those for who has signed in; whatever else is asked for below the area is not found. */
function area(name: Area, deps: PagesDeps, open: Hono<PageEnv>[], closed: Hono<PageEnv>[]): Hono<PageEnv> {
  const { log, sessions } = deps;
  const app = new Hono<PageEnv>();
  app.onError((error, c) => {
    if (holdsNul(error)) return notFound(c);
    log.error({ err: error, path: c.req.routePath }, 'a page failed');
    return failed(c, isAway(error));
  });
  app.use(`/${name}/*`, bodyLimit({ maxSize: MAX_FORM_BYTES }));
  app.use(`/${name}/*`, identify(name, sessions, formRefused));
  for (const each of open) app.route('/', each);
  app.use(`/${name}/*`, signedIn);
  app.get(`/${name}/live`, (c) => liveMoves(c, deps));
  app.post(`/${name}/sign-out`, async (c) => {
    await sessions.end(getSecret(c, name) ?? '');
    forgetSecret(c, name);
    return c.redirect(`/${name}/sign-in?done=signed-out`, 303);
  });
  for (const each of closed) app.route('/', each);
  app.all(`/${name}/*`, notFound);
  return app;
}

const adminPages = (deps: PagesDeps): Hono<PageEnv>[] => [
  userListRoutes(deps),
  userRoutes(deps),
  grantRoutes(deps),
  tenantListRoutes(deps),
  tenantRoutes(deps),
  keyRoutes(deps),
  providerRoutes(deps),
  invoiceRoutes(deps),
  ledgerRoutes(deps),
  auditRoutes(deps),
  usageCsvRoute('/admin/usage.csv', () => undefined, deps),
];

const portalPages = (deps: PagesDeps): Hono<PageEnv>[] => [
  overviewRoutes(deps),
  portalUsageRoutes(deps),
  portalUserRoutes(deps),
  portalInvoiceRoutes(deps),
  portalKeyRoutes(deps),
  usageCsvRoute('/portal/usage.csv', tenantOf, deps),
];

const failed = (c: PageContext, isDatabase: boolean) => {
  if (isDatabase) c.header('Retry-After', '1');
  return page(
    c,
    {
      title: 'Failed',
      status: isDatabase ? 503 : 500,
      notice: problem(isDatabase ? 'The database cannot be reached.' : 'Something went wrong; the log has it.'),
    },
    <section class="card confirm">
      <h1>This page cannot be shown now</h1>
      <p>Try again in a moment.</p>
    </section>,
  );
};
