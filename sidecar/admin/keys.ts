import { Hono } from 'hono';
import { z } from 'zod';
import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config/files.ts';
import { type ApiKey, apiKeyIdSchema } from '../../schemas/api-key.ts';
import { durationSchema } from '../../schemas/duration.ts';
import type { ApiKeyStore } from '../counters/api-keys.ts';
import { shownBy } from '../identity/authenticate.ts';
import type { Identities } from '../identity/identities.ts';
import { type By, type KeyChanges, KeysFull } from '../keys/changes.ts';
import { KEY_PREFIX } from '../keys/key-text.ts';
import { KeyConflict, stateOf } from '../keys/lifecycle.ts';
import { Refusal } from '../routes/refusal.ts';
import { eventText, readBody } from './body.ts';
import { pageSize } from './page-size.ts';
import { tenantOf } from './tenant-of.ts';

export interface KeysDeps {
  store: Pick<ApiKeyStore, 'apiKey' | 'apiKeys' | 'apiKeysLastUsed'>;
  keyChanges: KeyChanges;
  identities: Pick<Identities, 'addressOf'>;
  config: () => Config;
  clock: Clock;
}

const MAX_PAGE = 1_000;
const DEFAULT_GRACE = '72h';
const MAX_GRACE = { text: '90d', milliseconds: 90 * 86_400_000 };
const MAX_LIFE = { text: '3650d', milliseconds: 3_650 * 86_400_000 };

const instant = z.iso.datetime({ offset: true, error: 'must be a time with its zone, such as "2026-12-31T23:59:59Z"' });
const end = { expires_at: instant.optional(), expires_in: durationSchema(MAX_LIFE).optional() };
const reason = eventText(1_024, 'must say why').optional();

const issueSchema = z.strictObject({
  tenant_id: eventText(256, 'must name a tenant').optional(),
  team_id: eventText(256, 'must name a team').optional(),
  user_id: eventText(256, 'must name a user').optional(),
  name: eventText(256, 'must be text, for people').optional(),
  ...end,
  reason,
});

const rotateSchema = z.strictObject({ grace: durationSchema(MAX_GRACE).optional(), ...end, reason });
const revokeSchema = z.strictObject({ reason });
const GRACE_MS = durationSchema(MAX_GRACE).parse(DEFAULT_GRACE);

/**
 * `/api/admin/keys`: POST issues a key, GET lists them; `/{id}` one of them; POST `/{id}/rotate` `{"grace": "72h"}` puts another in its place,
 * and both go on until the grace is over; POST `/{id}/revoke`, or DELETE, ends it for every sidecar at once.
 * The key itself is in the answer that makes it, and nowhere else.
 */
export function keyRoutes(deps: KeysDeps): Hono {
  const { clock, config, identities, keyChanges, store } = deps;
  const app = new Hono();
  const path = '/api/admin/keys';
  const by = (c: Parameters<typeof shownBy>[0], why: string | undefined): By => ({
    actor: 'admin',
    address: identities.addressOf(shownBy(c)),
    reason: why,
  });
  app.post(path, async (c) => {
    const body = await readBody(c, issueSchema);
    const holder = { tenantId: holderTenant(body, config()), teamId: body.team_id, userId: body.user_id };
    const expiresAt = endOf(body, clock.now());
    const issued = await keyChanges.issue({ ...holder, name: body.name, expiresAt }, by(c, body.reason)).catch(refuse);
    return c.json({ ...shown(issued.key, clock.now()), key: issued.secret }, 201, NEVER_KEPT);
  });
  app.get(path, async (c) => {
    const after = c.req.query('after');
    const limit = pageSize(c.req.query('limit'), MAX_PAGE);
    const { keys, next } = await store.apiKeys({ tenantId: c.req.query('tenant_id'), after, limit });
    const used = await store.apiKeysLastUsed(keys.map(({ id }) => id));
    return c.json({ keys: keys.map((key) => shown(key, clock.now(), used)), ...(next !== undefined && { next }) });
  });
  app.get(`${path}/:id`, async (c) => {
    const id = readId(c.req.param('id'));
    const key = (await store.apiKey(id)) ?? unknown(id);
    return c.json(shown(key, clock.now(), await store.apiKeysLastUsed([id])));
  });
  app.post(`${path}/:id/rotate`, async (c) => {
    const id = readId(c.req.param('id'));
    const { grace = GRACE_MS, reason: why, ...body } = await readBody(c, rotateSchema);
    const expiresAt = endOf(body, clock.now());
    const done = await keyChanges.rotate(id, { expiresAt, graceMs: grace }, by(c, why)).catch(refuse);
    const { issued, old } = done ?? unknown(id);
    const now = clock.now();
    return c.json({ ...shown(issued.key, now), key: issued.secret, replaces: shown(old, now) }, 201, NEVER_KEPT);
  });
  const revoke = async (c: Parameters<typeof shownBy>[0], given: string | undefined) => {
    const id = readId(given);
    const { reason: why } = await readBody(c, revokeSchema);
    const key = (await keyChanges.revoke(id, by(c, why)).catch(refuse)) ?? unknown(id);
    return c.json(shown(key, clock.now()));
  };
  app.post(`${path}/:id/revoke`, (c) => revoke(c, c.req.param('id')));
  app.delete(`${path}/:id`, (c) => revoke(c, c.req.param('id')));
  return app;
}

const NEVER_KEPT = { 'Cache-Control': 'no-store' };

function holderTenant({ tenant_id, user_id }: z.infer<typeof issueSchema>, config: Config): string {
  const tenant = tenantOf(user_id, tenant_id, config);
  const { tenants, unknown_tenants } = config.tenants;
  if (unknown_tenants !== 'deny' || Object.hasOwn(tenants, tenant)) return tenant;
  throw new Refusal(
    400,
    'invalid_parameter',
    `tenant_id: ${JSON.stringify(tenant)} is not in tenants.yaml, and would be refused`,
  );
}

function endOf(
  { expires_at, expires_in }: { expires_at?: string | undefined; expires_in?: number | undefined },
  now: number,
) {
  if (expires_at !== undefined && expires_in !== undefined) {
    throw new Refusal(400, 'invalid_parameter', 'expires_at and expires_in: give one of them');
  }
  const at =
    expires_in !== undefined ? now + expires_in : expires_at === undefined ? undefined : Date.parse(expires_at);
  if (at !== undefined && at > now + MAX_LIFE.milliseconds) {
    throw new Refusal(400, 'invalid_parameter', `expires_at: must be within ${MAX_LIFE.text}; leave it out for never`);
  }
  if (at === undefined || at > now) return at;
  throw new Refusal(400, 'invalid_parameter', 'expires_at: that is over already');
}

/** Who pastes a whole key is told so, and it is not said again. */
function readId(given = ''): string {
  const id = given.startsWith(KEY_PREFIX) && given.length < 24 ? given.slice(KEY_PREFIX.length) : given;
  if (apiKeyIdSchema.safeParse(id).success) return id;
  const what = given.startsWith(KEY_PREFIX) ? ': what was given is a whole key, and should now be revoked' : '';
  throw new Refusal(400, 'invalid_parameter', `id: must be the id of a key, such as k0_4fJ2mQ8sLw1Z${what}`);
}

function unknown(id: string): never {
  throw new Refusal(404, 'resource_not_found', `there is no key ${JSON.stringify(id)}`);
}

function refuse(error: Error): never {
  if (error instanceof KeyConflict || error instanceof KeysFull) {
    throw new Refusal(409, 'resource_conflict', error.message);
  }
  throw error;
}

const time = (milliseconds: number | undefined) =>
  milliseconds === undefined ? undefined : new Date(milliseconds).toISOString();

/** Never the key, nor its digest. */
const shown = (key: ApiKey, now: number, used?: ReadonlyMap<string, number>) => ({
  id: key.id,
  prefix: `${KEY_PREFIX}${key.id}`,
  name: key.name,
  tenant_id: key.tenant_id,
  team_id: key.team_id,
  user_id: key.user_id,
  state: stateOf(key, now),
  created_at: time(key.created_at),
  created_by: key.created_by,
  expires_at: time(key.expires_at),
  last_used_at: time(used?.get(key.id)),
  rotated_from: key.rotated_from,
  rotated_to: key.rotated_to,
  revoked_at: time(key.revoked_at),
});
