import type { Socket } from 'node:net';

/**
 * Breaks a connection as a crash or a firewall does: the other side gets a TCP reset at once. Node's own
 * `resetAndDestroy` first ends the stream in order, so the other side sees a regular end; this is the flag it sets.
 */
export function resetConnection(socket: Socket): void {
  Object.assign(socket, { resetAndClosing: true }).destroy();
}
