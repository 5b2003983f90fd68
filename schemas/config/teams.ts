import { z } from 'zod';
import { isTimeZone } from '../time-zone.ts';

const MOST = 1_000_000_000;
const requests = z
  .int({ error: `must be a whole number of requests from 1 to ${MOST}` })
  .min(1, { error: `must be a whole number of requests from 1 to ${MOST}` })
  .max(MOST, { error: `must be a whole number of requests from 1 to ${MOST}` });

const tierSchema = z.strictObject({
  /** Both may be left out: then only others' limits hold. */
  requests_per_minute: requests.optional(),
  requests_per_day: requests.optional(),
});

const teamSchema = z.strictObject({
  /** The tier of its users who have none of their own. */
  tier: z.string().min(1).optional(),
  /** The team's share of what the provider gives. */
  requests_per_minute: requests.optional(),
});

/** As they are printed for users. */
const TIERS = {
  standard: { requests_per_minute: 30, requests_per_day: 2_000 },
  power: { requests_per_minute: 100, requests_per_day: 10_000 },
  unlimited: {},
};

/** `config/teams.yaml`: how many requests users and teams may make. Without the file nobody is limited by it. */
export const teamsSchema = z
  .strictObject({
    tiers: z.record(z.string().min(1), tierSchema).default(TIERS),
    /** Of users whose tier neither they nor their team names; without it they have none. */
    default_tier: z.string().min(1).optional(),
    /** Where a tier's day begins. */
    timezone: z
      .string()
      .refine(isTimeZone, { error: 'must be a known time zone, an IANA name such as "Europe/Berlin"' })
      .default('UTC'),
    /** What the provider allows in all, and how much of it is not given out. */
    provider_limit: z
      .strictObject({ requests_per_minute: requests, kept_back: z.int().min(0).max(MOST).default(0) })
      .optional(),
    teams: z.record(z.string().min(1), teamSchema).default({}),
  })
  .superRefine(({ default_tier, provider_limit, teams, tiers }, context) => {
    const known = Object.keys(tiers).join(', ');
    const check = (tier: string | undefined, path: string[]) => {
      if (tier === undefined || Object.hasOwn(tiers, tier)) return;
      context.addIssue({
        code: 'custom',
        path,
        message: `there is no tier ${JSON.stringify(tier)}; there is ${known}`,
      });
    };
    check(default_tier, ['default_tier']);
    for (const [name, { tier }] of Object.entries(teams)) check(tier, ['teams', name, 'tier']);
    if (!provider_limit) return;
    const shares = Object.values(teams).flatMap(({ requests_per_minute: share }) =>
      share === undefined ? [] : [share],
    );
    const sum = shares.reduce((total, share) => total + share, 0);
    const left = provider_limit.requests_per_minute - provider_limit.kept_back;
    if (sum <= left) return;
    const given = `${shares.join(' + ')} = ${sum} requests a minute are given out`;
    const message = `${given}, but the provider's ${provider_limit.requests_per_minute} less ${provider_limit.kept_back} kept back leave ${left}`;
    context.addIssue({ code: 'custom', path: ['teams'], message });
  });

export type TeamsConfig = z.infer<typeof teamsSchema>;
