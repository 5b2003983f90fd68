import type { IncomingMessage } from 'node:http';
import type { Context, MiddlewareHandler } from 'hono';
import { Refusal } from '../routes/refusal.ts';
import type { Shown } from './identify.ts';
import type { Identities } from './identities.ts';
import type { Identity } from './identity.ts';

export interface IdentifiedEnv {
  /** `address`: where the request comes from. */
  Variables: { identity: Identity; address: string | undefined };
}

/** Lets through who is identified, and says to the routes who that is. Everybody else gets the same 401, and 429 who has guessed too often. */
export function authenticate(identities: Identities): MiddlewareHandler<IdentifiedEnv> {
  return async function identified(c, next) {
    const shown = shownBy(c);
    const incoming = incomingOf(c);
    const identity = await ((incoming && handedOver.get(incoming)) ?? identities.identify(shown));
    if (identity.type === 'unidentified') throw identities.refusal(identity, shown);
    c.set('identity', identity);
    c.set('address', identities.addressOf(shown));
    return next();
  };
}

/** For what concerns all tenants: only the service. */
export const serviceOnly: MiddlewareHandler<IdentifiedEnv> = async (c, next) => {
  if (c.get('identity').type !== 'service') throw new Refusal(403, 'unauthorized', 'only the service may ask for this');
  return next();
};

/** Who is calling, of requests that were looked at before the routes: a guess is counted once. */
const handedOver = new WeakMap<IncomingMessage, ReturnType<Identities['identify']>>();

/** Leaves to the routes whoever is not identified, or not at once. Undefined for these. */
export function identifiedAtOnce(
  identities: Identities,
  incoming: IncomingMessage,
  shown: Shown,
): Identity | undefined {
  const who = identities.identify(shown);
  if (!(who instanceof Promise) && who.type !== 'unidentified') return who;
  handedOver.set(incoming, who);
  return undefined;
}

/** What a request shows of who is calling. */
export function shownBy(c: Context): Shown {
  const incoming = incomingOf(c);
  return {
    authorization: c.req.header('Authorization'),
    apiKey: c.req.header('X-API-Key'),
    values: (name) => incoming?.headersDistinct[name.toLowerCase()] ?? [],
    address: incoming?.socket?.remoteAddress,
  };
}

/** The same of Node's request, for one that says no header twice: of such it drops or joins the values. */
export const shownIn = (incoming: IncomingMessage): Shown => ({
  authorization: incoming.headers.authorization,
  apiKey: incoming.headers['x-api-key'] as string | undefined,
  values: (name) => incoming.headersDistinct[name.toLowerCase()] ?? [],
  address: incoming.socket.remoteAddress,
});

const incomingOf = (c: Context) => (c.env as { incoming?: IncomingMessage } | undefined)?.incoming;
