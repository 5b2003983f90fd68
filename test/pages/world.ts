import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { systemClock } from '../../runtime/clock.ts';
import { loadConfig } from '../../runtime/config/files.ts';
import { createLog } from '../../runtime/log.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { streamEntry } from '../billing/events.ts';
import { type AllInOne, startAllInOne } from '../helpers/all-in-one.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { history } from './history.ts';

/** A name that must come out as it went in. */
export const AWKWARD = `o'neil <b>& "sons"</b>/..`;
/** Two months that are over at least, whatever day it is. */
const HISTORY_DAYS = 75;

const FILES: Record<string, string> = {
  'tenants.yaml': `
defaults: { capacity: 10000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month, anchor_day: 1, timezone: UTC } }
unknown_tenants: default
plans: { metered: { rate_card: true, markup_percent: "20" } }
tenants: { acme: {}, globex: { capacity: 50000, plan: metered } }
`,
  'users.yaml': `
users:
  - { id: alice, tenant: acme, team: engineering }
  - { id: bob, tenant: acme, team: data }
  - { id: carol, tenant: acme, team: data }
  - { id: erin, tenant: acme, team: engineering }
  - { id: dave, tenant: globex }
  - { id: ${JSON.stringify(AWKWARD)}, tenant: globex }
`,
  'providers.yaml': `
accounts:
  anthropic-main: { provider: anthropic, limits: { requests_per_minute: 1000, input_tokens_per_minute: 450000 } }
  bedrock-eu: { provider: bedrock, limits: { requests_per_minute: 200 } }
`,
  'budgets.yaml': `
per_user_budgets:
  enabled: true
  default_limits: { daily_tokens: 50000, monthly_tokens: 1000000 }
  user_overrides: { alice: { daily_tokens: 100000, monthly_tokens: 2000000 }, bob: { daily_tokens: 25000, monthly_tokens: 500000 } }
  on_limit_exceeded: { action: hard_stop }
tenant_budgets: { acme: { daily_tokens: 400000, monthly_tokens: 8000000, usd: "500" } }
`,
};

export interface World extends AllInOne {
  admin: { Authorization: string };
  /** Asks for a decision, of so many tokens. */
  use: (tenantId: string, userId: string, tokens: number, model?: string) => Promise<{ allow: boolean; id: string }>;
  /** A new key of the tenant, or of one of its users. */
  issueKey: (holder: { tenant_id: string; user_id?: string; name?: string }) => Promise<{ id: string; key: string }>;
  /** Closes the oldest cycle of acme. `cycleId` is another one that can be closed. */
  closeOne: () => Promise<{ invoiceId: string; cycleId: string }>;
}

/** What `npm start` starts, on a real PostgreSQL that has some weeks of two tenants in it. */
export async function startWorld(): Promise<World> {
  const config = await configFolder();
  const database = await createDatabase();
  await fillLedger(database.url, config);
  const started = await startAllInOne({
    CONFIG_DIR: config,
    DATA_DIR: await tempDir('data'),
    DATABASE_URL: database.url,
    CYCLE_GRACE_S: '0',
    LOG_LEVEL: 'warn',
  });
  atTestEnd(database.drop);
  const admin = { Authorization: `Bearer ${started.adminToken}` };
  return {
    ...started,
    admin,
    use: async (tenant_id, user_id, estimated_tokens, model = 'anthropic/claude-haiku-4-5') => {
      const input = { tenant_id, user_id, model, estimated_tokens };
      const { body } = await post(`${started.sidecar}/v1/data/openclaw/rate_limit/allow`, { input });
      return { allow: body.result, id: body.decision_id };
    },
    issueKey: async (holder) => {
      const { body, status } = await post(`${started.sidecar}/api/admin/keys`, holder, admin);
      if (status !== 201) throw new Error(`no key: ${JSON.stringify(body)}`);
      await eventually(async () => {
        const { body: audit } = await get(`${started.billing}/v1/audit?target=${body.id}`, admin);
        if (audit.data.length === 0) throw new Error('the key is not in the ledger yet');
      });
      return { id: body.id, key: body.key };
    },
    closeOne: async () => {
      const due: { id: string; tenant_id: string }[] = (await get(`${started.billing}/v1/cycles`, admin)).body.data;
      const mine = due.find(({ tenant_id }) => tenant_id === 'acme');
      const other = due.findLast(({ id }) => id !== mine?.id);
      if (!mine || !other) throw new Error('there are no two cycles to close');
      const { body } = await post(`${started.billing}/v1/cycles/${encodeURIComponent(mine.id)}/close`, {}, admin);
      return { invoiceId: body.invoice.id, cycleId: other.id };
    },
  };
}

async function configFolder(): Promise<string> {
  const folder = join(await tempDir('config'), 'config');
  await mkdir(folder);
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text);
  const models = loadConfig(join(packageRoot, 'config')).models;
  await writeFile(join(folder, 'models.yaml'), JSON.stringify(models));
  return folder;
}

async function fillLedger(databaseUrl: string, folder: string): Promise<void> {
  const { tenants } = loadConfig(folder);
  const database = await openDatabase({ databaseUrl, dataDir: '/nonexistent', log: createLog('silent') });
  const ledger = new Ledger({ sql: database.sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
  const events = history(HISTORY_DAYS, systemClock.now());
  await ledger.append([...events.map(streamEntry), streamEntry('{"v": 99, "id": "from a later release"}')]);
  await database.close();
}
