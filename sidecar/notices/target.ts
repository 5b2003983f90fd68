import { Webhook } from 'standardwebhooks';
import type { Clock } from '../../runtime/clock.ts';
import { type Notice, sentence } from './notice.ts';

/** Where notices go. Throws if one was not accepted. */
export interface Target {
  /** In logs and metrics. */
  name: string;
  send(notice: Notice, signal: AbortSignal): Promise<void>;
}

/** The receiver said no, and would say so again. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** A Slack-compatible incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks */
export const slack = (url: string): Target => ({
  name: 'slack',
  send: (notice, signal) => post(url, JSON.stringify({ text: sentence(notice) }), {}, signal),
});

/**
 * The notice as JSON, signed as Standard Webhooks say: https://www.standardwebhooks.com. Whoever has the secret can tell it from a
 * forged or repeated one.
 */
export function webhook(url: string, secret: string, clock: Clock): Target {
  const signer = new Webhook(Buffer.from(secret).toString('base64'));
  return {
    name: 'webhook',
    send(notice, signal) {
      const body = JSON.stringify({ type: 'notice', timestamp: notice.at, data: notice });
      const at = new Date(clock.now());
      const headers = {
        'webhook-id': notice.id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
        'webhook-signature': signer.sign(notice.id, at, body),
      };
      return post(url, body, headers, signal);
    },
  };
}

/** What a receiver may answer in, and how many of the answers that will not change with another try. */
const TIMEOUT_MS = 10_000;
const FINAL = new Set([400, 401, 403, 404, 405, 410, 413, 422]);

async function post(url: string, body: string, headers: Record<string, string>, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'Content-Type': 'application/json', ...headers },
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  await response.body?.cancel();
  if (response.ok) return;
  const message = `it answered ${response.status}`;
  throw FINAL.has(response.status) ? new Refused(message) : new Error(message);
}
