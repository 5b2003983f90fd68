import { ErrorReply } from 'redis';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import type { Log } from '../../../runtime/log.ts';
import { CountersUnavailable } from '../contract.ts';

/** Sends one command to the server. Throws `ErrorReply` where the server refuses it. */
export type Ask = (command: string[]) => Promise<unknown>;

/** What a server says of itself; undefined where it does not. */
export interface ServerSettings {
  version: string | undefined;
  /** `maxmemory-policy` */
  eviction: string | undefined;
  /** `appendonly` */
  appendOnly: boolean | undefined;
}

export interface Findings {
  /** What makes the server unfit, each with what mends it. */
  unfit: string[];
  /** What would make it unfit, but was accepted by `ALLOW_VOLATILE_STORE=1`. */
  accepted: string[];
  /** What the server does not tell. */
  untold: string[];
}

/** The first with `#!lua` scripts, which are refused as a whole where Redis would refuse one of their writes. */
const OLDEST_MAJOR = 7;

const ACCEPT = 'or set ALLOW_VOLATILE_STORE=1, if what was used may be forgotten';

/** Reads the settings that matter: from `INFO`, and what that leaves open from `CONFIG GET`. */
export async function readSettings(ask: Ask): Promise<ServerSettings> {
  const info = fields(await unlessRefused(ask(['INFO'])));
  const config = async (name: string) => configValue(await unlessRefused(ask(['CONFIG', 'GET', name])));
  const eviction = info.get('maxmemory_policy') ?? (await config('maxmemory-policy'));
  const appendOnly = info.get('aof_enabled') ?? (await config('appendonly'));
  return {
    version: info.get('redis_version'),
    eviction,
    appendOnly: appendOnly === undefined ? undefined : appendOnly === '1' || appendOnly === 'yes',
  };
}

/**
 * A policy that evicts is unfit also where `maxmemory` is 0: nothing is evicted then, but whoever sets a limit later turns
 * eviction on without a word, and `volatile-*` too takes counters, because theirs are keys that expire.
 */
export function judge({ appendOnly, eviction, version }: ServerSettings, allowVolatile: boolean): Findings {
  const unfit: string[] = [];
  const volatile: string[] = [];
  if (version !== undefined && !(Number.parseInt(version, 10) >= OLDEST_MAJOR)) {
    unfit.push(
      `it is version ${version}, and ${OLDEST_MAJOR}.0 is the oldest that runs the scripts of the counters; ` +
        'run a newer redis-server, its files can stay as they are',
    );
  }
  if (eviction !== undefined && eviction !== 'noeviction') {
    volatile.push(
      `it evicts keys (maxmemory-policy ${eviction}), and a counter that is evicted is a full bucket again; ` +
        'run `redis-cli CONFIG SET maxmemory-policy noeviction`, ' +
        `and write \`maxmemory-policy noeviction\` into redis.conf; ${ACCEPT}`,
    );
  }
  if (appendOnly === false) {
    volatile.push(
      'it keeps no append-only file (appendonly no), so its end takes counters and usage that was not billed yet with it; ' +
        `run \`redis-cli CONFIG SET appendonly yes\`, and write \`appendonly yes\` into redis.conf; ${ACCEPT}`,
    );
  }
  const untold = Object.entries({ 'its version': version, 'maxmemory-policy': eviction, appendonly: appendOnly })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  return allowVolatile ? { unfit, accepted: volatile, untold } : { unfit: [...unfit, ...volatile], accepted: [], untold };
}

export interface ServerCheckDeps {
  /** Names the server in messages; without a password. */
  server: string;
  allowVolatile: boolean;
  log: Log;
}

/**
 * Looks at the server itself, on each new connection. An unfit one must not be started on. One that turns out unfit later
 * (a failover, a `CONFIG SET`) is not left: what it has counted so far is in no other place. It is said in the log and by
 * `assertFit`, and decisions go on.
 */
export class ServerCheck {
  readonly #deps: ServerCheckDeps;
  readonly #said = new Set<string>();
  #started = false;
  #unfit: string[] = [];

  constructor(deps: ServerCheckDeps) {
    this.#deps = deps;
  }

  /** Throws `ConfigError` if the first server that is looked at is unfit. Whatever `ask` throws otherwise is thrown. */
  async check(ask: Ask): Promise<void> {
    const found = judge(await readSettings(ask), this.#deps.allowVolatile);
    if (!this.#started && found.unfit.length) throw new ConfigError(found.unfit.map((what) => this.#about(what)));
    this.#started = true;
    for (const what of found.accepted) this.#warn(`${this.#about(what)} (it is)`);
    for (const what of found.untold) {
      this.#warn(this.#about(`it does not tell ${what}: see to it that ${RIGHT[what]}`));
    }
    this.#sayChange(found.unfit);
    this.#unfit = found.unfit;
  }

  /** Throws `CountersUnavailable` while the server is unfit. */
  assertFit(): void {
    if (this.#unfit.length) throw new CountersUnavailable(this.#unfit.map((what) => this.#about(what)).join('\n'));
  }

  #sayChange(unfit: string[]): void {
    for (const what of unfit) if (!this.#unfit.includes(what)) this.#deps.log.error(this.#about(what));
    if (this.#unfit.length && !unfit.length) this.#deps.log.info(this.#about('its settings are right again'));
  }

  #warn(text: string): void {
    if (!this.#said.has(text)) this.#deps.log.warn(text);
    this.#said.add(text);
  }

  #about = (what: string) => `Redis at ${this.#deps.server}: ${what}`;
}

const RIGHT: Record<string, string> = {
  'its version': `it is ${OLDEST_MAJOR}.0 or newer`,
  'maxmemory-policy': 'it is noeviction',
  appendonly: 'what was acknowledged survives a restart',
};

/** A server that does not let this user ask, or does not know the command, does not tell. */
async function unlessRefused(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ErrorReply && /^(NOPERM|ERR)\b/.test(error.message)) return undefined;
    throw error;
  }
}

const fields = (info: unknown) =>
  new Map(typeof info === 'string' ? [...info.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [name, value]) : []);

/** RESP 2 answers `CONFIG GET` with a list, RESP 3 with a map. */
function configValue(reply: unknown): string | undefined {
  if (Array.isArray(reply)) return reply[1];
  return reply && typeof reply === 'object' ? Object.values(reply)[0] : undefined;
}
