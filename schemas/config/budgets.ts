import { z } from 'zod';
import { amountSchema } from '../amounts.ts';
import { isTimeZone } from '../time-zone.ts';

const NANOS = 9;

/** USD per calendar month, as a number or a decimal string: whole nano-dollars for the counters. */
const usd = z
  .union([z.number(), z.string()])
  .transform((value) => String(value))
  .pipe(
    z.string().regex(/^\d{1,7}(\.\d{1,9})?$/, {
      error: 'must be an amount of USD below 9,007,199, such as 250 or "249.99"',
    }),
  )
  .transform((value) => {
    const [whole = '0', fraction = ''] = value.split('.');
    return Number(whole + fraction.padEnd(NANOS, '0'));
  })
  .pipe(z.int({ error: 'must be an amount of USD below 9,007,199' }));

const limits = z.strictObject({
  daily_tokens: amountSchema.optional(),
  monthly_tokens: amountSchema.optional(),
});

const actions = z.enum(['soft_limit', 'hard_stop', 'reduced_priority']);

const groupLimits = z.strictObject({
  ...limits.shape,
  usd: usd.optional(),
  /** In place of the action of `on_limit_exceeded`. */
  action: actions.optional(),
});

const onLimitExceeded = z
  .strictObject({
    /** What happens once a budget is used up. Of several the strictest: hard_stop, reduced_priority, soft_limit. */
    action: z.union([actions, z.array(actions).min(1)]).default('hard_stop'),
    soft_limit: z
      .strictObject({ message: z.string().default(''), notify_admin: z.boolean().default(false) })
      .default({ message: '', notify_admin: false }),
    hard_stop: z
      .strictObject({
        message: z
          .string()
          .default('Your {period} budget of {tokens_limit} tokens is used up. It resets at {reset_time}.'),
        status_code: z.int().min(400).max(599).default(429),
      })
      .default({
        message: 'Your {period} budget of {tokens_limit} tokens is used up. It resets at {reset_time}.',
        status_code: 429,
      }),
    reduced_priority: z.strictObject({ force_model: z.string().min(1), message: z.string().default('') }).optional(),
  })
  .refine(
    ({ action, reduced_priority }) => !([action].flat().includes('reduced_priority') && reduced_priority === undefined),
    { error: 'action reduced_priority needs reduced_priority: { force_model: … }', path: ['action'] },
  )
  .transform(({ action, ...more }) => ({ ...more, action: strictest([action].flat()) }));

type Action = z.infer<typeof actions>;

const STRICTEST_FIRST: Action[] = ['hard_stop', 'reduced_priority', 'soft_limit'];

const strictest = (given: Action[]): Action => STRICTEST_FIRST.find((action) => given.includes(action)) ?? 'hard_stop';

const resetSchedule = z.strictObject({
  daily_reset_time: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d$/, { error: 'must be a time of day, such as "00:00"' })
    .default('00:00'),
  /** 29 to 31: the month's last day where it has no such day. */
  monthly_reset_day: z.int().min(1).max(31).default(1),
  timezone: z
    .string()
    .refine(isTimeZone, { error: 'must be a known time zone, an IANA name such as "Europe/Berlin"' })
    .default('UTC'),
});

const perUserBudgets = z.strictObject({
  enabled: z.boolean().default(true),
  default_limits: limits.default({}),
  /** In place of the default and the role's. */
  user_overrides: z.record(z.string().min(1), limits).default({}),
  /** Tokens a day for each user with the role. */
  role_limits: z.record(z.string().min(1), amountSchema).default({}),
  reset_schedule: resetSchedule.default(resetSchedule.parse({})),
  rollover: z
    .strictObject({ enabled: z.boolean().default(false), max_rollover_tokens: amountSchema.default(0) })
    .default({ enabled: false, max_rollover_tokens: 0 }),
  warnings: z
    .array(z.strictObject({ at_percent: z.int().min(1).max(1_000), message: z.string() }))
    // A limit has 16 thresholds, and at 100 % the admin is told.
    .max(15)
    .default([]),
  on_approaching_limit: z
    .strictObject({ action: z.enum(['warn', 'none']).default('warn'), message_template: z.string().default('') })
    .default({ action: 'none', message_template: '' }),
  include_budget_in_response: z.boolean().default(false),
  budget_footer: z
    .string()
    .default('Your usage: {tokens_used}/{tokens_limit} tokens ({percent_used}%). Resets: {reset_time}'),
  on_limit_exceeded: onLimitExceeded.default(onLimitExceeded.parse({})),
  /** What an answer is taken to be long where the request says no `max_output_tokens`. */
  expected_output_tokens: amountSchema.default(500),
});

const groups = z.record(z.string().min(1), groupLimits).default({});

/** `config/budgets.yaml`: what each user, and each group of users, may use in a day and a month. Without the file: no budget. */
export const budgetsSchema = z.strictObject({
  per_user_budgets: perUserBudgets.default({ ...perUserBudgets.parse({}), enabled: false }),
  department_budgets: groups,
  project_budgets: groups,
  team_budgets: groups,
  tenant_budgets: groups,
});

export type BudgetsConfig = z.infer<typeof budgetsSchema>;
