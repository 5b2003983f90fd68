import { type Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Answer } from '../decision/answer.ts';
import { shownBy } from '../identity/authenticate.ts';
import { type Identity, UNIDENTIFIED as NOBODY } from '../identity/identity.ts';
import { callerAddress } from './caller-address.ts';
import { type EvaluateDeps, evaluate } from './evaluate.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';
import { Refusal } from './refusal.ts';

/** What a gateway's clients get that show nothing, or what is nobody's: as the users of such gateways know it. */
const UNIDENTIFIED = { error: 'Invalid or missing API key' };

const PACKAGE = 'openclaw/rate_limit';

/** Headers by which a gateway that bears the service's token says for whom it asks; and by which all are told. */
const NAMES = { tenant_id: 'X-Tenant-ID', team_id: 'X-Team-ID', user_id: 'X-User-ID' } as const;

/**
 * Forward-auth, for nginx `auth_request`, Caddy `forward_auth`, Traefik `ForwardAuth` and Envoy ext_authz over HTTP: `/authz`
 * takes, on every method, for whoever the client's own key or token says is calling. 200 with who it is in headers; 401; else the
 * decision's status, 429 with `Retry-After` and RateLimit headers. `?package=a/b` asks another package than the shipped one.
 */
export function authzRoutes(deps: EvaluateDeps): Hono {
  const app = new Hono();
  app.all('/authz', async (c) => {
    const shown = shownBy(c);
    const identity = await deps.identities.identify(shown);
    if (identity.type === 'unidentified') return refused(c, deps.identities.refusal(identity, shown));
    if (identity.type === 'anonymous') return refused(c, deps.identities.refusal(NOBODY, shown));
    const input = identity.type === 'service' || identity.speaksFor ? namedIn(c) : {};
    const { answer } = await evaluate(deps, {
      path: [...(c.req.query('package') ?? PACKAGE).split('/'), 'decision'],
      input,
      identity,
      take: true,
      requestedBy: deps.decisionLog && callerAddress(c),
      address: deps.identities.addressOf(shown),
    }).catch(noTenant);
    if (!answer) throw new Refusal(404, 'resource_not_found', 'package: there is no metered package of this name');
    if (answer.decision.reason === 'revoked_key') return c.json(UNIDENTIFIED, 401);
    return answered(c, answer, { ...input, ...identity.bound }, identity.credentialId);
  });
  return app;
}

/** Who guesses too often is told when to come again. */
const refused = (c: Context, { status, message, res }: Refusal): Response => {
  if (status === 401) return c.json(UNIDENTIFIED, 401);
  return c.json({ error: message }, status, { 'Retry-After': res?.headers.get('Retry-After') ?? '' });
};

function namedIn(c: Context): Identity['bound'] {
  const named = Object.entries(NAMES).map(([field, header]) => [field, c.req.header(header)]);
  return Object.fromEntries(named.filter(([, name]) => name));
}

/** The client has shown who it is; whose bucket is meant is missing in the configuration. */
function noTenant(error: unknown): never {
  if (error instanceof Refusal && error.body.errors?.some(({ code }) => code === 'unknown_tenant')) {
    const message =
      'no tenant is known of this caller: users.yaml, the token or X-Tenant-ID of the service must say it';
    throw new Refusal(403, 'unauthorized', message, [{ code: 'unknown_tenant', message }]);
  }
  throw error;
}

function answered(c: Context, answer: Answer, who: Identity['bound'], credential: string | undefined): Response {
  const { decision, decisionId } = answer;
  const headers = {
    ...rateLimitHeaders(answer),
    ...Object.fromEntries(
      Object.entries(NAMES).flatMap(([field, header]) => {
        const name = who[field as keyof typeof NAMES];
        return name === undefined ? [] : [[header, visible(name)]];
      }),
    ),
    ...(credential !== undefined && { 'X-Credential-ID': credential }),
    'X-Decision-ID': decisionId,
  };
  if (decision.allow) return c.body(null, 200, headers);
  const body = { error: decision.message || decision.reason, reason: decision.reason, decision_id: decisionId };
  return c.json(body, refusalStatus(decision) as ContentfulStatusCode, headers);
}

/** A gateway goes by the status alone: a denial whose policy gives it one of success must not pass for an allow. */
export const refusalStatus = ({ status }: Pick<Answer['decision'], 'status'>): number => (status >= 400 ? status : 403);

/** A header holds visible ASCII; the rest is percent-encoded. */
const visible = (name: string) => name.replace(/[^!-$&-~]/gu, (char) => encodeURIComponent(char));
