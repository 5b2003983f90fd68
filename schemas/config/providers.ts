import { z } from 'zod';
import { FAILURES } from '../failures.ts';
import { isTimeZone } from '../time-zone.ts';
import { isWildcard } from './models.ts';
import { providerProblems } from './provider-problems.ts';

const MOST = 1_000_000_000_000;
/** A plan has 16 candidates at most: the first, its chain, those of rules by budget, and the cheaper model of budgets.yaml. */
const MOST_FALLBACKS = 6;
const MOST_BUDGET_RULES = 8;

const whole = (least: number, most: number, of = '') => {
  const error = `must be a whole number${of} from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
};

const name = z.string().min(1).max(128);
const model = z.string({ error: "must be a model's id, such as anthropic/claude-sonnet-4-5" }).min(1).max(256);

const limitsSchema = z.strictObject({
  requests_per_minute: whole(1, MOST).optional(),
  /** Of prompt and answer together. */
  tokens_per_minute: whole(1, MOST).optional(),
  input_tokens_per_minute: whole(1, MOST).optional(),
  output_tokens_per_minute: whole(1, MOST).optional(),
  requests_per_day: whole(1, MOST).optional(),
  /** Where the provider's day begins; UTC if not given. */
  timezone: z
    .string()
    .refine(isTimeZone, { error: 'must be a known time zone, an IANA name such as "America/Los_Angeles"' })
    .optional(),
});

const accountSchema = z.strictObject({
  provider: name,
  tier: z
    .union([z.string().min(1), z.int()], { error: 'must be the name of a tier' })
    .transform(String)
    .optional(),
  /** In place of the tier's. */
  limits: limitsSchema.default({}),
  /** Ids that it serves beside those of its provider; `*` at the end stands for all that begin so. */
  models: z.array(model).default([]),
  /** `model`: each model has the limits for itself. */
  per: z.enum(['account', 'model']).default('account'),
  kept_back_percent: whole(0, 50).default(0),
});

const chainSchema = z.preprocess(
  (value) => (Array.isArray(value) ? { models: value } : value),
  z
    .strictObject(
      {
        models: z
          .array(model, { error: 'must be a list of models' })
          .min(1, { error: 'must name one model at least' })
          .max(MOST_FALLBACKS, { error: `must not name more than ${MOST_FALLBACKS} models` }),
        on: z
          .array(z.enum(FAILURES))
          .min(1, { error: 'must name one reason at least' })
          .default(['rate_limit', 'timeout', 'unavailable']),
        /** So many calls one run may make, the first one among them. */
        maxAttempts: whole(1, 16).optional(),
      },
      {
        error: ({ code }) =>
          code === 'invalid_type'
            ? 'must be a list of models, or { models: [a, b], on: [rate_limit], maxAttempts: 3 }'
            : undefined,
      },
    )
    .transform(({ maxAttempts, models, on }) => ({ models, on, max_attempts: maxAttempts ?? 1 + models.length })),
);

const conditionsSchema = z.strictObject({
  /** Tokens of the prompt: `input_tokens`, else a quarter of `prompt_chars`. */
  input_tokens_below: whole(1, MOST).optional(),
  input_tokens_from: whole(0, MOST).optional(),
  roles: z.array(z.string().min(1)).min(1).optional(),
  task_classes: z.array(z.string().min(1)).min(1).optional(),
  /** Of the user's daily budget. */
  budget_used_percent_from: whole(1, 99).optional(),
});

const cooldownSchema = z.strictObject({
  /** After the first, second, … rate limit in a row; the last also after all further ones. */
  minutes: z.array(whole(1, 1_440)).min(1).max(10).default([1, 5, 25, 60]),
  /** Each is longer or shorter by up to so much. */
  jitter_percent: whole(0, 50).default(10),
});

const circuitBreakerSchema = z
  .strictObject({
    failures: whole(1, 1_000).default(5),
    within_seconds: whole(1, 3_600).default(60),
    open_seconds: whole(1, 3_600).default(30),
    /** It is open twice as long each time that a probe fails, up to this. */
    most_open_seconds: whole(1, 86_400).default(300),
    /** A probe that nobody reports is given up after so long. */
    probe_seconds: whole(1, 3_600).default(60),
  })
  .refine(({ most_open_seconds, open_seconds }) => most_open_seconds >= open_seconds, {
    error: 'must not be less than open_seconds',
    path: ['most_open_seconds'],
  });

const fileSchema = z.strictObject({
  /** By provider, then by tier. */
  tiers: z.record(name, z.record(z.string().min(1), limitsSchema)).default({}),
  accounts: z.record(name, accountSchema).default({}),
  models: z.record(model, z.strictObject({ fallback: chainSchema.optional() })).default({}),
  routing: z
    .strictObject({ rules: z.array(z.strictObject({ when: conditionsSchema.default({}), model })).default([]) })
    .default({ rules: [] }),
  cooldown: cooldownSchema.default(cooldownSchema.parse({})),
  circuit_breaker: circuitBreakerSchema.default(circuitBreakerSchema.parse({})),
});

/** What the file says once it is read, before it is known to be sound. */
export type ProvidersFile = z.infer<typeof fileSchema>;

/**
 * `config/providers.yaml`: what providers allow, what stands in for a model, and how long one that refuses is left alone.
 * Without the file, or without an account in it, nothing is limited by it. An account's `limits` are those of its tier and its own.
 */
export const providersSchema = fileSchema
  .superRefine((file, context) => {
    for (const { message, path } of providerProblems(file, MOST_BUDGET_RULES))
      context.addIssue({ code: 'custom', path, message });
  })
  .transform((file) => ({
    ...file,
    accounts: Object.fromEntries(
      Object.entries(file.accounts).map(([account, { limits, ...said }]) => {
        const tier = file.tiers[said.provider]?.[said.tier ?? ''];
        return [account, { ...said, limits: { ...tier, ...limits } }];
      }),
    ),
  }));

export type ProvidersConfig = z.infer<typeof providersSchema>;
export type ProviderAccount = ProvidersConfig['accounts'][string];
export type ProviderLimits = z.infer<typeof limitsSchema>;

/** The account that serves a model: the one that names it, by its longest name, else the one of its provider. */
export function accountOf(
  model: string,
  { accounts }: Pick<ProvidersConfig, 'accounts'>,
): { name: string; account: ProviderAccount } | undefined {
  const claimed = claimsOf(accounts).find(({ claim }) =>
    isWildcard(claim) ? model.startsWith(claim.slice(0, -1)) : model === claim,
  );
  const [provider, ...rest] = model.split('/');
  const ofProvider = rest.length ? accountsOfProviders(accounts).get(provider ?? '') : undefined;
  const name = claimed?.name ?? ofProvider;
  const account = name === undefined ? undefined : accounts[name];
  return name !== undefined && account ? { name, account } : undefined;
}

type Accounts = Record<string, Pick<ProviderAccount, 'models' | 'provider'>>;

/** What accounts name, in the order in which it is looked at: ids first, then beginnings, the longest of them first. */
export const claimsOf = (accounts: Accounts): { claim: string; name: string }[] =>
  Object.entries(accounts)
    .flatMap(([name, { models }]) => models.map((claim) => ({ claim, name })))
    .toSorted((a, b) => rank(b.claim) - rank(a.claim));

const rank = (claim: string) => (isWildcard(claim) ? claim.length : MOST);

/** The account, by provider, of models that no account names: its only one, or the only one that names none. */
export function accountsOfProviders(accounts: Accounts): Map<string, string> {
  const all = Object.entries(accounts);
  return new Map(
    [...new Set(all.map(([, { provider }]) => provider))].flatMap((provider) => {
      const its = all.filter(([, account]) => account.provider === provider);
      const [open] = its.length === 1 ? its : its.filter(([, { models }]) => models.length === 0);
      return open ? [[provider, open[0]] as const] : [];
    }),
  );
}

const AMOUNTS = [
  'requests_per_minute',
  'tokens_per_minute',
  'input_tokens_per_minute',
  'output_tokens_per_minute',
  'requests_per_day',
] as const;

/** What may be used of an account: its limits less what is kept back, rounded down to whole numbers from 1 on. */
export function limitsOf({
  kept_back_percent,
  limits,
}: Pick<ProviderAccount, 'kept_back_percent' | 'limits'>): ProviderLimits & { timezone: string } {
  const left = (amount: number) => Math.max(1, Math.floor((amount * (100 - kept_back_percent)) / 100));
  const given = AMOUNTS.flatMap((key) => (limits[key] === undefined ? [] : [[key, left(limits[key])] as const]));
  return { ...Object.fromEntries(given), timezone: limits.timezone ?? 'UTC' };
}
