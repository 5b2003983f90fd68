import { isIP } from 'node:net';
import type { AuthConfig } from '../../schemas/config/auth.ts';
import type { Shown } from './identify.ts';
import { isAmong, networks } from './networks.ts';

/** A chain of more proxies than this is nobody's. */
const MAX_HOPS = 20;

/**
 * Where a request comes from. That is the other end of the connection, or, if that is one of `trusted_proxy.addresses`, the last address in
 * `X-Forwarded-For` that is none of them: what stands before it, the client may have written itself.
 */
export function clientAddress(auth: AuthConfig): (shown: Pick<Shown, 'address' | 'values'>) => string | undefined {
  if (!auth.trusted_proxy) return ({ address }) => plain(address);
  const trusted = networks(auth.trusted_proxy.addresses);
  return ({ address, values }) => {
    if (!isAmong(trusted, address)) return plain(address);
    const hops = values('X-Forwarded-For').flatMap((value) => value.split(','));
    const nearest = hops.slice(-MAX_HOPS).reverse();
    for (const hop of nearest) {
      const candidate = plain(hop.trim());
      if (candidate === undefined) break;
      if (!isAmong(trusted, candidate)) return candidate;
    }
    return plain(address);
  };
}

/** The last one that was looked at: callers are few, and each asks again and again. */
const last: { address: string | undefined; plain: string | undefined } = { address: undefined, plain: undefined };

/** `::ffff:10.0.0.1` is 10.0.0.1. Undefined for what is no address. */
function plain(address: string | undefined): string | undefined {
  if (address !== last.address) {
    last.plain = plainOf(address);
    last.address = address;
  }
  return last.plain;
}

function plainOf(address: string | undefined): string | undefined {
  const bare = address?.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '') ?? '';
  return isIP(bare) === 0 ? undefined : bare;
}
