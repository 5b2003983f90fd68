import { z } from 'zod';
import { amountSchema } from './amounts.ts';
import { budgetsSchema } from './config/budgets.ts';
import { modelsSchema } from './config/models.ts';
import { teamsSchema } from './config/teams.ts';
import { tenantsSchema } from './config/tenants.ts';
import { FAILURES } from './failures.ts';
import type { ClosedGate, LimitOutcome, Outcome } from './policy-io.ts';

/**
 * What a policy may look at, for `opa check` and editors: a name that is not here is a typing error. The sidecar does not
 * validate by it: an input may hold anything else, and a policy that uses more says so in its own `schemas` annotation.
 */

const name = (description: string) => z.string().max(256).optional().describe(description);
const amount = (description: string) => amountSchema.optional().describe(description);

/** What `raw_counters` shows beside the bands. */
const numbers = {
  capacity: amount('What the limit holds. Only with raw_counters, as the numbers below.'),
  before: amount('In use before this take.'),
  used: amount('In use after it; the same if nothing was taken.'),
  remaining: amount('Left after it.'),
  used_percent: z.number().optional().describe('In use after it, in percent of the capacity.'),
  reset_at: amount('Epoch milliseconds at which it is empty again if nothing more is taken.'),
  retry_after_ms: amountSchema.nullable().optional().describe('Until this cost would have room; null: never.'),
};

const limitOutcomeSchema = z.strictObject({
  id: z.string(),
  granted: z.boolean().describe('Whether it had room, or may be exceeded.'),
  over: z.boolean().describe('In use above its capacity, whether refused or taken all the same.'),
  crossed: z.array(z.int()).describe('Thresholds in percent that this request is the first to cross in the period.'),
  on_exceed: z.enum(['deny', 'flag']),
  ...numbers,
} satisfies Record<keyof LimitOutcome, z.ZodType>);

const closedSchema = z.strictObject({
  gate: z
    .string()
    .describe(
      "A gate, limit:<id> of a shared limit, budget:<id> of the tenant's own, failed:<how>, on:<why> or attempts.",
    ),
  candidate: z.string().describe('The model that was passed over for it.'),
  until: amount('Epoch milliseconds until which it is closed. Only with raw_counters.'),
} satisfies Record<keyof ClosedGate, z.ZodType>);

const outcomeSchema = z
  .strictObject({
    granted: z.boolean().describe('Whether everything was taken. If not, nothing was.'),
    candidate: z.string().nullable().describe('The model that was chosen from the candidates of the plan.'),
    closed: z.array(closedSchema).describe('What candidates were passed over for, in their order.'),
    limits: z.array(limitOutcomeSchema).describe('How each limit came out.'),
  } satisfies Record<keyof Outcome, z.ZodType>)
  .optional()
  .describe('What the take came to. Only the decision sees it.');

/** `input`. Not in it: `request_id` and `run_id`, which no policy sees. */
export const policyInputSchema = z.looseObject({
  tenant_id: name('Whose counters are drawn on.'),
  user_id: name('On whose behalf.'),
  team_id: name('The team of the user.'),
  project_id: name('What the work is for.'),
  department_id: name('The department that it is for.'),
  agent_id: name('The agent that asks.'),
  role: name('The role of the user.'),
  channel: name('Where the request came in, such as "telegram".'),
  sender_id: name('Who wrote, as the channel knows them.'),
  model: name('The model asked for, by its id or an alias.'),
  prompt_chars: amount('Length of the prompt in characters.'),
  input_tokens: amount('Tokens of the prompt, if they were counted.'),
  max_output_tokens: amount('The most that the answer may have.'),
  estimated_tokens: amount('An estimate of the whole call.'),
  task_class: name('What kind of work it is, as the caller sorts it: a rule of providers.yaml may name it.'),
  identity: z
    .strictObject({ type: z.string() })
    .optional()
    .describe('What kind of caller asks; not the service itself.'),
  granted_tokens: amount('What an admin has granted the user for a while, on top of each budget.'),
  outcome: outcomeSchema,
});

const userSchema = z.strictObject({
  department: name('Of the user, as users.yaml says; so below.'),
  role: name('Its role.'),
  team: name('Its team.'),
  tenant: name('Its tenant.'),
  tier: name('Its tier, of teams.yaml.'),
  projects: z.array(z.string()),
});

const requestLimit = amount('Less what is kept back; not there where nothing is said of it. So below.');

/** `providers.yaml`, resolved: what a policy looks for is found by its name. */
const policyProvidersSchema = z.strictObject({
  accounts: z.record(
    z.string(),
    z.strictObject({
      provider: z.string(),
      per: z.enum(['account', 'model']).describe('model: each model has the limits for itself.'),
      limits: z.strictObject({
        requests_per_minute: requestLimit,
        tokens_per_minute: requestLimit,
        input_tokens_per_minute: requestLimit,
        output_tokens_per_minute: requestLimit,
        requests_per_day: requestLimit,
        timezone: z.string().describe('Where the day begins.'),
      }),
    }),
  ),
  account_of_model: z.record(z.string(), z.string()).describe('Of models that an account names.'),
  account_of_prefix: z
    .array(z.strictObject({ prefix: z.string(), account: z.string() }))
    .describe('Of models that begin so, the longest first.'),
  account_of_provider: z.record(z.string(), z.string()).describe('Of all others, by what stands before the first /.'),
  id_of_alias: z.record(z.string(), z.string()).describe('The names that models.yaml gives a model beside its id.'),
  chains: z
    .record(
      z.string(),
      z.strictObject({ models: z.array(z.string()), on: z.array(z.enum(FAILURES)), max_attempts: z.int() }),
    )
    .describe('What stands in for a model, by its id.'),
  rules: z.array(
    z.strictObject({
      when: z.strictObject({
        input_tokens_below: amount('Tokens of the prompt.'),
        input_tokens_from: amount('Tokens of the prompt.'),
        roles: z.array(z.string()).optional(),
        task_classes: z.array(z.string()).optional(),
        budget_used_percent_from: amount("Of the user's daily budget."),
      }),
      model: z.string(),
    }),
  ),
});

export type PolicyProviders = z.infer<typeof policyProvidersSchema>;

/** `data.config`: what the files of `CONFIG_DIR` say, without their secrets. */
export const policyConfigSchema = z.strictObject({
  tenants: tenantsSchema,
  models: modelsSchema,
  budgets: budgetsSchema,
  teams: teamsSchema,
  providers: policyProvidersSchema,
  authentication: z.strictObject({ require_user: z.boolean() }),
  users: z.record(z.string(), userSchema).describe('By id.'),
});
