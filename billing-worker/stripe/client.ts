import Stripe from 'stripe';

const TIMEOUT_MS = 30_000;
/** Within one attempt of the outbox. */
const RETRIES = 2;

export interface StripeOptions {
  secretKey: string;
  /** Undefined: Stripe itself. */
  apiBase?: string | undefined;
  timeoutMs?: number;
  retries?: number;
}

/** The official client. It tells Stripe nothing of how long earlier requests took. */
export function openStripe({ apiBase, retries = RETRIES, secretKey, timeoutMs = TIMEOUT_MS }: StripeOptions): Stripe {
  const base = apiBase === undefined ? undefined : new URL(apiBase);
  return new Stripe(secretKey, {
    maxNetworkRetries: retries,
    timeout: timeoutMs,
    telemetry: false,
    ...(base && {
      protocol: base.protocol === 'http:' ? ('http' as const) : ('https' as const),
      host: base.hostname,
      port: base.port || (base.protocol === 'http:' ? '80' : '443'),
    }),
  });
}

/** Test and live mode have objects of their own, so they are two targets. */
export const targetName = (secretKey: string): 'stripe' | 'stripe_test' =>
  /^(sk|rk)_live_/.test(secretKey) ? 'stripe' : 'stripe_test';
