import { bringStripeMock } from '../helpers/bring.ts';
import { Child } from '../helpers/child.ts';

/**
 * Stripe's own mock server on a free port: it holds each request against the schema of the API, and remembers nothing. It
 * refuses another version of the API than its own: the pinned client and the pinned server must go together.
 */
export async function startStripeMock(): Promise<string> {
  const program = await bringStripeMock();
  const child = new Child(program, {
    args: ['-strict-version-check', '-http-addr', '127.0.0.1:0', '-https-addr', '127.0.0.1:0'],
  });
  const line = await child.waitForLine(/Listening for HTTP at address/);
  const [, address] = /address: (\S+)/.exec(line) ?? [];
  return `http://${address}`;
}
