import { z } from 'zod';
import type { Answered, SidecarApi } from './sidecar-api.ts';

const modelSchema = z.object({
  model: z.string(),
  state: z.enum(['available', 'cooldown', 'quota_exhausted', 'circuit_open', 'half_open']),
  until: z.string().nullish(),
  why: z.string().nullish(),
  nth: z.number().nullish(),
});
const limitSchema = z.object({
  id: z.string(),
  unit: z.string(),
  period: z.string().nullish(),
  /** Seconds in which it is whole again. */
  window_s: z.number().nullish(),
  capacity: z.number(),
  used: z.number(),
  remaining: z.number(),
  reset_at: z.union([z.string(), z.number()]).nullish(),
});
const accountSchema = z.object({
  account: z.string(),
  provider: z.string(),
  tier: z.string().nullish(),
  models: z.array(modelSchema).default([]),
  limits: z.array(limitSchema).default([]),
});
const schema = z.object({ accounts: z.array(accountSchema) });

export type ProviderAccount = z.output<typeof accountSchema>;
export type ModelState = z.output<typeof modelSchema>;

/** What each account at a provider has left, and which of its models rest. Status 404: the sidecar has no providers. */
export const providerAccounts = (sidecar: SidecarApi): Promise<Answered<{ accounts: ProviderAccount[] }>> =>
  sidecar.ask({ as: 'service', path: '/v1/status/providers', schema });
