import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { AuthConfig } from '../../schemas/config/auth.ts';
import type { Shown } from './identify.ts';
import type { Identity } from './identity.ts';
import { identityOf, type KnownUsers } from './known-users.ts';
import { isAmong, networks } from './networks.ts';

const LOG_EVERY_MS = 60_000;

export interface TrustedProxyDeps {
  auth: AuthConfig;
  users: KnownUsers;
  clock: Clock;
  log: Log;
}

/**
 * Who a proxy says in its header is calling: the user of users.yaml with that e-mail address, and nobody for an address
 * that is not in it. Believed of the listed addresses only, and only exactly one value. Undefined if no proxy is trusted.
 */
export function trustedProxy({ auth, clock, log, users }: TrustedProxyDeps) {
  if (!auth.enabled || !auth.trusted_proxy) return undefined;
  const { addresses, header } = auth.trusted_proxy;
  const trusted = networks(addresses);
  let saidAt = Number.NEGATIVE_INFINITY;

  const ignore = (address: string | undefined) => {
    const now = clock.monotonic();
    if (now - saidAt < LOG_EVERY_MS) return;
    saidAt = now;
    log.warn({ address, header }, 'ignored a header from an address that is not among trusted_proxy.addresses');
  };

  return ({ address, values }: Pick<Shown, 'address' | 'values'>): Identity | undefined => {
    const given = values(header);
    if (given.length === 0) return undefined;
    if (!isAmong(trusted, address)) return void ignore(address);
    const email = given[0]?.trim() ?? '';
    // Two are what a caller has sent and what the proxy has added: which is which cannot be told.
    if (given.length > 1 || email.includes(',')) return undefined;
    const user = users.byEmail(email);
    return user && identityOf(user, 'proxy');
  };
}
