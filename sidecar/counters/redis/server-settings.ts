import { ErrorReply } from 'redis';

/** Sends one command to the server. Throws `ErrorReply` where the server refuses it. */
export type Ask = (command: string[]) => Promise<unknown>;

/** What a server says of itself; undefined where it does not. */
export interface ServerSettings {
  version: string | undefined;
  /** `maxmemory-policy` */
  eviction: string | undefined;
  /** `appendonly` */
  appendOnly: boolean | undefined;
  /** Whether it is a node of a Redis Cluster. */
  cluster: boolean | undefined;
}

/** One thing that is wrong with a server: what, and the command that mends it. */
export interface Fault {
  /** A `volatile` server may forget what was used; an `old` one cannot run the scripts; a `part` has only some of the keys. */
  kind: 'old' | 'volatile' | 'part';
  what: string;
  mend: string;
}

/** `#!lua` scripts came with 7.0: where Redis would refuse one of their writes, it refuses the whole script. */
const OLDEST_MAJOR = 7;

/** What the server must be, for the settings that it does not tell. */
export const WANTED: Record<'version' | 'eviction' | 'appendOnly', string> = {
  version: `it must be Redis ${OLDEST_MAJOR}.0 or newer`,
  eviction: 'its maxmemory-policy must be noeviction',
  appendOnly: 'its appendonly must be yes',
};

/**
 * Reads the settings from `INFO`, and what that leaves open from `CONFIG GET`. Throws `ErrorReply` while the server reads
 * its files: until it has, it says `aof_enabled:0` of a server that keeps an append-only file (measured on 7.0.15).
 */
export async function readSettings(ask: Ask): Promise<ServerSettings> {
  const info = infoFields(await unlessRefused(ask(['INFO'])));
  if (info.get('loading') === '1') throw new ErrorReply('LOADING it reads its files, and cannot be looked at yet');
  const config = async (name: string) => configValue(await unlessRefused(ask(['CONFIG', 'GET', name])));
  const eviction = info.get('maxmemory_policy') ?? (await config('maxmemory-policy'));
  const appendOnly = info.get('aof_enabled') ?? (await config('appendonly'));
  return {
    version: info.get('redis_version'),
    eviction,
    appendOnly: appendOnly === undefined ? undefined : appendOnly === '1' || appendOnly === 'yes',
    cluster: info.has('cluster_enabled') ? info.get('cluster_enabled') === '1' : undefined,
  };
}

/**
 * What makes a server unfit. A policy that evicts does so also where `maxmemory` is 0: nothing is evicted then, but who
 * sets a limit later turns eviction on without a word. `volatile-*` is no better than `allkeys-*`: counters expire.
 */
export function faultsOf({ appendOnly, cluster, eviction, version }: ServerSettings, wantCluster = false): Fault[] {
  const faults: Fault[] = [];
  if (cluster && !wantCluster) {
    faults.push({
      kind: 'part',
      what: 'it is a node of a Redis Cluster, and has only some of the keys',
      mend: 'set REDIS_CLUSTER_URLS to it instead of REDIS_URL',
    });
  }
  if (version !== undefined && !(Number.parseInt(version, 10) >= OLDEST_MAJOR)) {
    faults.push({
      kind: 'old',
      what: `it is version ${version}, and the scripts of the counters need ${OLDEST_MAJOR}.0 or newer`,
      mend: 'stop it, and start a newer redis-server on its files',
    });
  }
  if (eviction !== undefined && eviction !== 'noeviction') {
    faults.push({
      kind: 'volatile',
      what: `it evicts keys (maxmemory-policy ${eviction}), and an evicted counter is a full bucket again`,
      mend: setting('maxmemory-policy', 'noeviction'),
    });
  }
  if (appendOnly === false) {
    faults.push({
      kind: 'volatile',
      what: 'it keeps no append-only file (appendonly no), so a restart forgets the counters and what is not billed yet',
      mend: setting('appendonly', 'yes'),
    });
  }
  return faults;
}

const setting = (name: string, value: string) =>
  `run \`redis-cli CONFIG SET ${name} ${value}\`, and write \`${name} ${value}\` into its redis.conf`;

/** A server that does not let this user ask, or has no such command, does not tell. */
async function unlessRefused(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ErrorReply && /^(NOPERM|ERR)\b/.test(error.message)) return undefined;
    throw error;
  }
}

function infoFields(info: unknown): Map<string, string> {
  const lines = typeof info === 'string' ? info.split(/\r?\n/) : [];
  return new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1)];
    }),
  );
}

/** RESP 2 answers `CONFIG GET` with a list, RESP 3 with a map. A setting that is not known there is not in it. */
function configValue(reply: unknown): string | undefined {
  if (Array.isArray(reply)) return reply[1];
  return reply && typeof reply === 'object' ? Object.values(reply)[0] : undefined;
}
