import { Webhook } from 'standardwebhooks';
import type { Clock } from '../../runtime/clock.ts';
import { NotSent, type Target } from './target.ts';

const TIMEOUT_MS = 15_000;
/** The receiver says that it wants no more of it. */
const GONE = 410;

/**
 * Posts the finalised document as it is, signed as Standard Webhooks say: https://www.standardwebhooks.com. The `webhook-id` is the
 * invoice's id, at each repetition the same, so that the receiver can drop it. Whatever it answers but 2xx is tried again.
 */
export function invoiceWebhook(url: string, secret: string, clock: Clock): Target {
  const signer = new Webhook(Buffer.from(secret).toString('base64'));
  return {
    name: 'webhook',
    async send({ document: { finalised_at, id, kind }, text }, signal) {
      // The document's text, not its value anew: a number in it would be written otherwise.
      const body = `{"type":"${kind}.finalised","timestamp":"${finalised_at}","data":${text}}`;
      const at = new Date(clock.now());
      const headers = {
        'Content-Type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
        'webhook-signature': signer.sign(id, at, body),
      };
      const status = await post(url, { body, headers, signal });
      if (status >= 200 && status < 300) return undefined;
      throw new NotSent(`the receiver answered ${status}`, { answered: true, final: status === GONE });
    },
  };
}

async function post(
  url: string,
  { signal, ...what }: { body: string; headers: Record<string, string>; signal: AbortSignal },
) {
  const either = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { method: 'POST', redirect: 'error', signal: either, ...what });
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    throw new NotSent(`the receiver cannot be reached: ${codeOf(error)}`);
  }
}

/** Not the message: it may hold the URL, and the URL a secret. */
function codeOf(error: unknown): string {
  const { cause, name } = error as Error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : name;
}
