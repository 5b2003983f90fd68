import { z } from 'zod';
import { type DecisionRequest, MissingTenant, readRequest } from '../../decision/request.ts';
import { InputError } from '../../policy/canonical.ts';
import type { Verdict } from '../verdict.ts';

/** Of a line of a decision log, what a replay needs. */
const recordedSchema = z.object({
  decision_id: z.string(),
  timestamp: z.iso.datetime({ offset: true }),
  input: z.record(z.string(), z.unknown()).optional(),
  erased: z.array(z.string()).default([]),
  masked: z.array(z.string()).default([]),
  openclaw: z
    .object({
      package: z.string(),
      allow: z.boolean(),
      reason: z.string(),
      status: z.number(),
      decided_at: z.iso.datetime({ offset: true }),
      billed: z.number(),
      candidate: z.string().nullable().default(null),
      replayed: z.boolean().default(false),
      dry_run: z.boolean().default(false),
      granted: z.boolean().optional(),
      limits: z.array(z.object({ id: z.string(), before: z.number() })).default([]),
    })
    .optional(),
});

/** A decision as it was made and logged. */
export interface RecordedDecision {
  decisionId: string;
  /** Epoch milliseconds, by the store's clock. */
  at: number;
  request: DecisionRequest;
  verdict: Verdict;
  /** What the counters showed before: by the limit's id. */
  before: ReadonlyMap<string, number>;
  /** JSON pointers into the input of what the log does not have: a policy that reads it sees nothing there. */
  missing: string[];
}

/** Why a line is not replayed. */
export const SKIPPED = {
  not_json: 'not a line of JSON',
  not_a_decision: 'not a metered decision: a plain evaluation, or another line of the log',
  told_again: 'an answer that was given before, or one that took nothing',
  no_input: 'its input is not in the log',
} as const;

export type Skipped = keyof typeof SKIPPED;

export function readDecision(line: string): RecordedDecision | Skipped {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'not_json';
  }
  const { data: recorded } = recordedSchema.safeParse(value);
  if (!recorded?.openclaw) return 'not_a_decision';
  const { decision_id: decisionId, erased, input, masked, openclaw } = recorded;
  if (openclaw.replayed || openclaw.dry_run) return 'told_again';
  const request = requestOf(openclaw.package, input);
  if (!request) return 'no_input';
  return {
    decisionId,
    at: Date.parse(openclaw.decided_at),
    request,
    verdict: {
      allow: openclaw.allow,
      reason: openclaw.reason,
      status: openclaw.status,
      candidate: openclaw.granted ? openclaw.candidate : null,
      billed: openclaw.billed,
    },
    before: new Map(openclaw.limits.map(({ before, id }) => [id, before])),
    missing: [...erased, ...masked].filter((pointer) => pointer.startsWith('/input')),
  };
}

/** Each recorded decision is one of its own, so its request id is of no use. Undefined where too little of it is left. */
function requestOf(pkg: string, input: Record<string, unknown> | undefined): DecisionRequest | undefined {
  if (!input) return undefined;
  try {
    const { granted_tokens: granted } = input;
    const grantedTokens = Number.isSafeInteger(granted) ? (granted as number) : 0;
    return { ...readRequest(pkg, input, undefined, { grantedTokens }), requestId: undefined };
  } catch (error) {
    if (error instanceof MissingTenant || error instanceof InputError) return undefined;
    throw error;
  }
}
