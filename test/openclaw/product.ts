import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startAllInOne } from '../helpers/all-in-one.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { tempDir } from '../helpers/temp-dir.ts';

export const OPA_TOKEN = 'the-token-of-the-sidecar';

/** Who writes on Telegram. Each has what is theirs to be refused, warned, or led to the smaller model. */
export const PEOPLE = {
  ann: 101,
  /** Has used up the day's budget with the first message. */
  bob: 102,
  /** Is warned from the first message on. */
  sue: 103,
  /** Is led to the smaller model from the first message on. */
  tim: 104,
} as const;

const USERS = `user_identification: { method: channel, tenant: home }
users:
${Object.entries(PEOPLE)
  .map(([name, id]) => `  - { id: ${name}, tenant: home, department: of_${name}, channels: ["telegram:${id}"] }`)
  .join('\n')}
`;

const MODELS = `models:
  lab/big-model: { input: "3.00", output: "15.00", cache_read: "0.30" }
  lab/small-model: { input: "0.80", output: "4.00", cache_read: "0.08" }
`;

const BUDGETS = `per_user_budgets:
  enabled: true
  default_limits: { daily_tokens: 10000000 }
  user_overrides:
    bob: { daily_tokens: 15000 }
    cli: { daily_tokens: 15000 }
  reset_schedule: { daily_reset_time: "00:00", monthly_reset_day: 1, timezone: UTC }
  include_budget_in_response: true
  budget_footer: "Used today: {tokens_used} of {tokens_limit}."
  on_approaching_limit: { action: none }
  warnings: []
  on_limit_exceeded:
    action: hard_stop
    soft_limit: { message: "You are over your {period} budget. Your admin has been told.", notify_admin: true }
    hard_stop: { message: "Rate limit, too many requests, usage limit, quota exceeded: your {period} budget is used up.", status_code: 429 }
    reduced_priority: { force_model: lab/small-model, message: "Over budget: the small model answers." }
department_budgets:
  of_sue: { daily_tokens: 10, action: soft_limit }
  of_tim: { daily_tokens: 10, action: reduced_priority }
`;

const PROVIDERS = `tiers:
  lab:
    1: { requests_per_minute: 10000 }
accounts:
  the_lab: { provider: lab, tier: 1 }
models:
  lab/big-model: { fallback: [lab/small-model] }
`;

const TENANTS = `defaults: { capacity: 10000000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month, anchor_day: 1, timezone: UTC } }
unknown_tenants: default
`;

/** Of the billing worker's `/v1/usage`. */
export interface LedgerRow {
  user_id?: string | null;
  requests: number;
  denied: number;
  input_tokens: number;
  output_tokens: number;
}

/** The sidecar and the billing worker in one process on a real PostgreSQL, with budgets for the people above. */
/** Of usage that waited on OpenClaw's disk, too. */
const LEDGER_PATIENCE = { timeoutMs: 60_000 };

export class Product {
  readonly sidecar: string;
  readonly #billing: string;
  readonly #adminToken: string;

  private constructor(sidecar: string, billing: string, adminToken: string) {
    this.sidecar = sidecar;
    this.#billing = billing;
    this.#adminToken = adminToken;
  }

  static async start(): Promise<Product> {
    const folder = await tempDir('config');
    await cp(fileURLToPath(new URL('../../config', import.meta.url)), folder, { recursive: true });
    const files = {
      'users.yaml': USERS,
      'models.yaml': MODELS,
      'budgets.yaml': BUDGETS,
      'tenants.yaml': TENANTS,
      'providers.yaml': PROVIDERS,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const { adminToken, billing, sidecar } = await startAllInOne({
      CONFIG_DIR: folder,
      DATA_DIR: await tempDir('data'),
      DATABASE_URL: (await createDatabase()).url,
      OPA_TOKEN,
    });
    return new Product(sidecar, billing, adminToken);
  }

  /** What the sidecar's status says, or one of its other routes. */
  async status(path = '/v1/status'): Promise<Record<string, unknown>> {
    return this.#get(`${this.sidecar}${path}`, OPA_TOKEN);
  }

  /** The budgets report, by user. */
  async budgets(): Promise<Map<string, { daily_used: number; daily_limit: number; status: string }>> {
    const { users } = (await this.#get(`${this.sidecar}/api/admin/budgets`, this.#adminToken)) as {
      users: { user_id: string; daily_used: number; daily_limit: number; status: string }[];
    };
    return new Map(users.map((user) => [user.user_id, user]));
  }

  /** The policy enforcement points that the sidecar knows of. */
  async peps(): Promise<unknown> {
    const { result } = (await this.status()) as { result: { peps: unknown } };
    return result.peps;
  }

  /** What the ledger has, by user or model, once it satisfies a check: it is written a moment after the stream. */
  ledger<T>(by: string, check: (rows: LedgerRow[]) => T): Promise<T> {
    return eventually(async () => {
      const { data } = await this.#get(`${this.#billing}/v1/usage?group_by=${by}`, this.#adminToken);
      return check(data as LedgerRow[]);
    }, LEDGER_PATIENCE);
  }

  async #get(url: string, token: string): Promise<Record<string, unknown>> {
    const response = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  }
}
