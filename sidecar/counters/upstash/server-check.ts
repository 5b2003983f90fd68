import { ErrorReply } from 'redis';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import type { Log } from '../../../runtime/log.ts';
import { type Ask, readSettings } from '../redis/server-settings.ts';
import { WOULD_WRITE } from './client.ts';

export interface UpstashCheckDeps {
  /** Names the database in messages. */
  host: string;
  /** A database that may forget what was used will do. */
  allowVolatile: boolean;
  log: Log;
}

const SWITCH_OFF = 'switch Eviction off in the Upstash console, under the database’s configuration';

/**
 * Looks at an Upstash database before it is used. Its version says nothing about what it can do, and it always writes to
 * disk: what is left is whether the token may run scripts that write, and whether keys are evicted. Throws
 * `ConfigError` if it must not be used, and whatever `ask` throws where it cannot tell.
 */
export async function checkUpstash(ask: Ask, { allowVolatile, host, log }: UpstashCheckDeps): Promise<void> {
  await assertMayWrite(ask, host);
  const { eviction } = await readSettings(ask);
  const about = (what: string) => `Upstash at ${host}: ${what}`;
  if (eviction === undefined) {
    log.warn(
      about(`it does not tell whether it evicts keys, and must not, for an evicted counter is full: ${SWITCH_OFF}`),
    );
  } else if (eviction !== 'noeviction') {
    const what = `it evicts keys (maxmemory-policy ${eviction}), and an evicted counter is a full bucket again`;
    if (!allowVolatile) {
      throw new ConfigError([about(`${what}; ${SWITCH_OFF}, or set ALLOW_VOLATILE_STORE=1 if it may forget`)]);
    }
    log.warn(about(`${what}; accepted, because ALLOW_VOLATILE_STORE is 1`));
  }
}

async function assertMayWrite(ask: Ask, host: string): Promise<void> {
  try {
    await ask(WOULD_WRITE);
  } catch (error) {
    if (!(error instanceof ErrorReply)) throw error;
    const mend = mendOf(error.message);
    if (!mend) throw error;
    throw new ConfigError([`environment: UPSTASH_REDIS_REST_TOKEN is refused by ${host} (${error.message}); ${mend}`]);
  }
}

function mendOf(message: string): string | undefined {
  if (/^(WRONGPASS|NOAUTH|Unauthorized)\b/i.test(message)) return 'copy the REST token from the Upstash console';
  if (message.startsWith('NOPERM'))
    return 'it may not run scripts: the standard token is needed, not the read-only one';
  return undefined;
}
