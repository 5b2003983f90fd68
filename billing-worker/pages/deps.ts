import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config/files.ts';
import type { Log } from '../../runtime/log.ts';
import type { BudgetFeed } from '../budget-feed.ts';
import type { CyclesDeps } from '../routes/cycles.ts';
import type { DeadLettersDeps } from '../routes/dead-letters.ts';
import type { UsageReportDeps } from '../routes/usage-report.ts';
import type { SidecarApi } from './data/sidecar-api.ts';
import type { UserTable } from './data/user-table.ts';
import type { OnceForms } from './session/once-forms.ts';
import type { Sessions } from './session/sessions.ts';
import type { SignInAttempts } from './session/sign-in-attempts.ts';

/** Where the pages find what is not in the ledger. */
export interface PagesOptions {
  /** Base URL of a sidecar: what is left now, grants and keys are in its store. */
  sidecarUrl: string;
  /** With which a sidecar answers what a service may ask; undefined where it asks for none. */
  opaToken: string | undefined;
  /** Who there is. */
  people: () => Pick<Config, 'users' | 'budgets'>;
}

/** What the billing worker has. */
export interface WorkerParts extends UsageReportDeps, CyclesDeps, DeadLettersDeps {
  adminToken: string | undefined;
  feed: BudgetFeed;
  clock: Clock;
  log: Log;
}

/** What every page is made of. */
export interface PagesDeps extends WorkerParts {
  sidecar: SidecarApi;
  sessions: Sessions;
  attempts: SignInAttempts;
  once: OnceForms;
  userTable: UserTable;
}
