import { z } from 'zod';
import type { Failed, SidecarApi } from './sidecar-api.ts';

/** What is left of one limit. Amounts are in its unit: tokens, requests, or billionths of a dollar. */
export interface LimitNow {
  id: string;
  subject: string;
  unit: string;
  /** Of a window: its period. */
  period: string | undefined;
  capacity: number;
  remaining: number;
  /** When it is full again, or its period ends: epoch milliseconds. */
  resetAt: number;
}

const PACKAGE = '/v1/data/openclaw/rate_limit';

const limitSchema = z.object({
  id: z.string(),
  subject: z.object({ type: z.string(), id: z.string() }),
  unit: z.string(),
  cost: z.number(),
  scope: z.string().default('tenant'),
  window: z.object({ period: z.string() }).optional(),
});

const schema = z.object({
  result: z
    .object({
      plan: z
        .object({
          limits: z.array(limitSchema).default([]),
          candidates: z.array(z.object({ limits: z.array(limitSchema).default([]) })).default([]),
        })
        .default({ limits: [], candidates: [] }),
      decision: z.object({ allow: z.boolean(), reason: z.string() }),
    })
    .optional(),
});

/**
 * What a tenant, or one of its users, has left now, by asking what would come of the smallest request. Takes nothing. Empty where
 * the policy has no limit for them.
 */
export async function limitsNow(
  { tenantId, userId }: { tenantId: string; userId?: string | undefined },
  { now, sidecar }: { sidecar: SidecarApi; now: number },
): Promise<LimitNow[] | Failed> {
  const answer = await sidecar.ask({
    as: 'service',
    method: 'POST',
    path: PACKAGE,
    query: { dry_run: 'true' },
    body: { input: { tenant_id: tenantId, ...(userId !== undefined && { user_id: userId }), estimated_tokens: 1 } },
    schema,
  });
  if (!answer.ok) return answer;
  const { decision, plan } = answer.value.result ?? {};
  if (!plan || !decision) return [];
  const told = readHeaders(answer.headers);
  // What all tenants share with one another is no business of this one.
  const own = [...plan.limits, ...(plan.candidates[0]?.limits ?? [])].filter(({ scope }) => scope === 'tenant');
  return own.flatMap(({ cost, id, subject, unit, window }) => {
    const found = told.get(quoted(id));
    if (!found) return [];
    // The numbers are those after the request, which was not made.
    const remaining = decision.reason === 'ok' ? Math.min(found.capacity, found.remaining + cost) : found.remaining;
    const { capacity, resetSeconds } = found;
    return [
      {
        id,
        subject: subject.type,
        unit,
        period: window?.period,
        capacity,
        remaining,
        resetAt: now + resetSeconds * 1_000,
      },
    ];
  });
}

const ITEM = /"([^"]*)"((?:;[a-z]=\d+)*)/g;

/** `RateLimit` and `RateLimit-Policy`, by the limit's id. */
function readHeaders(headers: Headers): Map<string, { capacity: number; remaining: number; resetSeconds: number }> {
  const rates = itemsOf(headers.get('RateLimit') ?? '');
  const policies = itemsOf(headers.get('RateLimit-Policy') ?? '');
  const found = new Map<string, { capacity: number; remaining: number; resetSeconds: number }>();
  for (const [id, { r, t }] of rates) {
    const capacity = policies.get(id)?.q;
    if (capacity !== undefined && r !== undefined) found.set(id, { capacity, remaining: r, resetSeconds: t ?? 0 });
  }
  return found;
}

const itemsOf = (header: string): Map<string, Record<string, number>> =>
  new Map(
    [...header.matchAll(ITEM)].map(([, id = '', parameters = '']) => [
      id,
      Object.fromEntries([...parameters.matchAll(/;([a-z])=(\d+)/g)].map(([, name, value]) => [name, Number(value)])),
    ]),
  );

/** As the headers hold an id: printable ASCII, the rest percent-encoded. */
const quoted = (id: string) => id.replace(/[^ !#-[\]-~]/gu, (char) => encodeURIComponent(char));

export const isFailed = (value: object): value is Failed => 'ok' in value && value.ok === false;
