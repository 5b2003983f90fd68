import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

/**
 * Gives the body of Node's request as text, of a length that was looked at before: Node holds the sender to it. Undefined if the caller goes
 * away, or takes longer than it may.
 */
export function wholeBody(incoming: IncomingMessage, give: (body: string | undefined) => void): void {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
  });
  incoming.on('end', () =>
    give((chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)).toString('utf8')),
  );
  incoming.on('close', () => {
    if (!incoming.readableEnded) give(undefined);
  });
}

/** Nobody reads this answer; what matters is that it is no failure of ours. */
export const brokenOff = () => new Refusal(400, 'invalid_parameter', 'the body did not come in whole');
