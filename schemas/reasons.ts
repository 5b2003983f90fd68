import { z } from 'zod';

/** Why a decision came out as it did. The one list that policies, the wire, metrics and the ledger share. */
export const reasonSchema = z.enum([
  'ok',
  'rate_limited',
  'budget_exceeded',
  'over_soft_limit',
  'routed_cheaper',
  'provider_unavailable',
  'unidentified',
  'unknown_tenant',
  'unknown_model',
  'revoked_key',
  'counters_unavailable',
  'policy_error',
]);

export type Reason = z.infer<typeof reasonSchema>;
