import { ErrorReply } from 'redis';
import type { Script } from './scripts.ts';

/**
 * Runs a script by its hash, and sends it along where the server does not know it: after a restart, a failover, a flush.
 * Once `signal` says that the caller has given up, nothing more is sent for it.
 */
export async function runScript(
  send: (command: string[]) => Promise<unknown>,
  script: Script,
  [keys, args]: [keys: string[], args: string[]],
  signal: AbortSignal,
): Promise<unknown> {
  const command = ['EVALSHA', script.sha, String(keys.length), ...keys, ...args];
  try {
    return await send(command);
  } catch (error) {
    if (!(error instanceof ErrorReply) || !error.message.startsWith('NOSCRIPT') || signal.aborted) throw error;
    return await send(['EVAL', script.source, ...command.slice(2)]);
  }
}
