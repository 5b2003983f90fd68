import { Hono } from 'hono';
import { v5 as uuidv5, v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config/files.ts';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import {
  type BudgetGrant,
  BudgetGrantExpired,
  BudgetGrantsFull,
  type LiveBudgetGrant,
} from '../counters/budget-grant.ts';
import type { CounterStore } from '../counters/contract.ts';
import { Refusal } from '../routes/refusal.ts';
import { readBody, eventText as text } from './body.ts';
import type { Granted } from './granted.ts';
import { tenantOf } from './tenant-of.ts';

export interface GrantsDeps {
  store: Pick<CounterStore, 'grantBudget' | 'revokeGrant'>;
  granted: Pick<Granted, 'look' | 'of'>;
  config: () => Config;
  clock: Clock;
}

/** The same `Idempotency-Key` for the same user makes the same grant. */
const IDS = '6f2b0a52-3c51-4c1e-9f7e-9a1f0b6f7d11';

const userSchema = text(256, 'must name a user');

const grantSchema = z.strictObject({
  tokens: z
    .int({ error: `must be a whole number from 1 to ${MAX_AMOUNT}` })
    .min(1, { error: `must be a whole number from 1 to ${MAX_AMOUNT}` }),
  expires_at: z.iso
    .datetime({ offset: true, error: 'must be a time with its zone, such as "2026-12-31T23:59:59Z"' })
    // The store takes no time before 1970, and says so as a failure.
    .refine((text) => Date.parse(text) > 0, { error: 'that is over already' }),
  reason: text(1_024, 'must say why'),
  /** Where the user's is not in `users.yaml`, and there are several. */
  tenant_id: text(256, 'must name a tenant').optional(),
});

/**
 * `POST /api/admin/budgets/{user_id}/grants` `{tokens, expires_at, reason}`: so many tokens on top of each of the user's budgets, in every
 * period until it expires. It counts at this sidecar at once, at the others within about a second. GET lists those that count,
 * `DELETE …/grants/{id}` takes one back.
 */
export function grantRoutes({ clock, config, granted, store }: GrantsDeps): Hono {
  const app = new Hono();
  const path = '/api/admin/budgets/:user/grants';
  app.post(path, async (c) => {
    const userId = readUser(c.req.param('user'));
    const body = await readBody(c, grantSchema);
    const tenantId = tenantOf(userId, body.tenant_id, config());
    const key = c.req.header('Idempotency-Key');
    const id = key ? uuidv5(JSON.stringify([tenantId, userId, key]), IDS) : uuidv7({ msecs: clock.now() });
    const grant = {
      id,
      tenantId,
      userId,
      tokens: body.tokens,
      expiresAt: Date.parse(body.expires_at),
      reason: body.reason,
      by: 'admin',
    };
    const { at, replayed } = await store.grantBudget(grant).catch(refuse);
    await granted.look();
    if (!replayed) return c.json(shown({ ...grant, at }), 201);
    const kept = granted.of(tenantId, userId).find((each) => each.id === id);
    if (kept && isSame(kept, grant)) return c.json(shown(kept));
    throw new Refusal(
      409,
      'resource_conflict',
      'this Idempotency-Key made another grant before; a new one needs a new key',
    );
  });
  app.get(path, async (c) => {
    const userId = readUser(c.req.param('user'));
    await granted.look();
    const tenantId = tenantOf(userId, c.req.query('tenant_id'), config());
    return c.json({ grants: granted.of(tenantId, userId).map(shown) });
  });
  app.delete(`${path}/:id`, async (c) => {
    const id = c.req.param('id');
    const userId = readUser(c.req.param('user'));
    await granted.look();
    const tenantId = tenantOf(userId, c.req.query('tenant_id'), config());
    const isTheirs = granted.of(tenantId, userId).some((each) => each.id === id);
    if (!isTheirs || !(await store.revokeGrant(id, 'admin'))) {
      throw new Refusal(404, 'resource_not_found', `no grant ${JSON.stringify(id)} counts now`);
    }
    await granted.look();
    return c.body(null, 204);
  });
  return app;
}

function readUser(id: string): string {
  const { data, error } = userSchema.safeParse(id);
  if (data !== undefined) return data;
  throw new Refusal(400, 'invalid_parameter', `user_id: ${error?.issues[0]?.message}`);
}

const isSame = (kept: LiveBudgetGrant, { expiresAt, reason, tokens }: BudgetGrant) =>
  kept.tokens === tokens && kept.expiresAt === expiresAt && kept.reason === reason;

function refuse(error: Error): never {
  if (error instanceof BudgetGrantExpired) throw new Refusal(400, 'invalid_parameter', `expires_at: ${error.message}`);
  if (error instanceof BudgetGrantsFull) throw new Refusal(409, 'resource_conflict', error.message);
  throw error;
}

const shown = ({ at, by, expiresAt, id, reason, tenantId, tokens, userId }: LiveBudgetGrant) => ({
  id,
  tenant_id: tenantId,
  user_id: userId,
  tokens,
  granted_at: new Date(at).toISOString(),
  expires_at: new Date(expiresAt).toISOString(),
  reason,
  by,
});
