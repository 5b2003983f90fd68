import { connect } from 'node:net';

/** Nobody waits longer for the rest of what is no request. */
const PATIENCE_MS = 30;

/** Sends bytes, reads whatever comes, and goes: gives the first line of it, '' for nothing. Resolves also when it is not answered. */
export function shout(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let said = '';
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on('data', (chunk) => {
      if (said.length < 1_000) said += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(said.split('\r\n', 1)[0] ?? ''));
    socket.write(bytes);
  });
}
