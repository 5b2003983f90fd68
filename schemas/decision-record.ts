import { z } from 'zod';
import { amountSchema } from './amounts.ts';

/** RFC 3339 in UTC, with milliseconds. */
const instant = z.iso.datetime({ precision: 3 });
/** Null: after the year 9999, for which there is no such form; so far away, it is as good as never. */
const farInstant = instant.nullable();

/** The answer of `GET /v1/decisions/{id}`: what was decided and why. Numbers are those of the decision. */
export const decisionRecordSchema = z.strictObject({
  decision_id: z.string(),
  tenant_id: z.string(),
  /** `consumed`: final at once. `reserved`: an estimate that is still to be settled. The others say what became of it. */
  state: z.enum(['consumed', 'reserved', 'settled', 'voided', 'expired']),
  decided_at: instant,
  policy_revision: z.string().nullable(),
  /** The model that was chosen; null where the plan names none. */
  candidate: z.string().nullable(),
  limits: z.array(
    z.strictObject({
      id: z.string(),
      on_exceed: z.enum(['deny', 'flag']),
      capacity: amountSchema,
      /** In use before and after this decision, in the limit's unit. */
      before: amountSchema,
      after: amountSchema,
      remaining: amountSchema,
      /** Whole percent of the capacity, rounded down. */
      used_percent: z.int().min(0),
      /** Thresholds, in percent, that this decision was the first of its period to cross. */
      crossed: z.array(z.int()),
      reset_at: farInstant,
    }),
  ),
  /** The gates for which models were passed over, and until when each was closed; null: until it is opened. */
  closed: z.array(z.strictObject({ gate: z.string(), candidate: z.string(), until: farInstant })),
});

export type DecisionRecordBody = z.infer<typeof decisionRecordSchema>;
