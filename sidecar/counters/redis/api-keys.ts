import { type ApiKey, gateOfKey } from '../../../schemas/api-key.ts';
import { readApiKey, type UntimedAuditEvent } from '../api-key-checks.ts';
import type { ApiKeyPage } from '../api-key-page.ts';
import { API_KEY_MEMORY_MS, type ApiKeyChange, type ApiKeyChanged } from '../api-keys.ts';
import { CountersUnavailable } from '../contract.ts';
import type { PartitionKeys } from '../keys.ts';
import type { Connection } from './connection.ts';
import { opened } from './encode.ts';
import type { Scripts } from './scripts.ts';

/**
 * So many keys a call looks at: those of a page took Redis 3 ms, and 7 ms where it looks for what to drop. All of 100,000 keys
 * took 0.4 and 0.8 s, and others were answered meanwhile.
 */
const STEP = 1_000;

/** See `lua/includes/api-keys.lua`. */
const PUBLISHED = '@published';

export interface ApiKeyCallsDeps {
  /** To the server that holds these keys. */
  connection: Connection;
  keys: Pick<PartitionKeys, 'stream' | 'apiKeys' | 'apiKeysUsed' | 'gate'>;
  scripts: Pick<Scripts, 'changeApiKeys' | 'publishApiKeys' | 'dropApiKeys' | 'apiKeyIds' | 'noteApiKeysUsed'>;
  most: number;
}

/** The API keys of one partition. What is given was checked before: see `api-key-checks.ts`. */
export class ApiKeyCalls {
  readonly #deps: ApiKeyCallsDeps;

  constructor(deps: ApiKeyCallsDeps) {
    this.#deps = deps;
  }

  /** Those of these ids that are kept. */
  async kept(ids: string[]): Promise<ApiKey[]> {
    const { connection, keys } = this.#deps;
    if (ids.length === 0) return [];
    const stored = await connection.getFields(keys.apiKeys, ids);
    return found(ids, stored).map(([id, text]) => decode(id, text));
  }

  async isPublished(): Promise<boolean> {
    const { connection, keys } = this.#deps;
    const [marked] = await connection.getFields(keys.apiKeys, [PUBLISHED]);
    return marked !== null;
  }

  /** The keys' new states are those in the event. */
  async change(change: Omit<ApiKeyChange, 'keys'>, event: UntimedAuditEvent): Promise<ApiKeyChanged> {
    const changed = await this.#change(change, event);
    if (changed !== 'full') return changed;
    await this.#drop();
    return this.#change(change, event);
  }

  async #change({ closeGates, tenantId }: Omit<ApiKeyChange, 'keys'>, event: UntimedAuditEvent) {
    const { connection, keys, most, scripts } = this.#deps;
    const gates = closeGates.map((name) => keys.gate({ tenantId, scope: 'tenant', name }));
    const args = [opened(event), String(most), ...(event.api_keys ?? []).flatMap(encode)];
    const reply = await connection.run(scripts.changeApiKeys, [keys.stream, keys.apiKeys, ...gates], args);
    return reply as ApiKeyChanged;
  }

  /** In steps: to look at 100,000 keys at once would stop Redis for longer than anybody waits. */
  async #drop(): Promise<void> {
    const { connection, keys, scripts } = this.#deps;
    const memory = String(API_KEY_MEMORY_MS);
    let from = '0';
    do {
      from = String(
        await connection.run(scripts.dropApiKeys, [keys.apiKeys, keys.apiKeysUsed], [from, String(STEP), memory]),
      );
    } while (from !== '0');
  }

  /** Shows a page all ids, of one tenant or of any. */
  async list(tenantId: string | undefined, page: ApiKeyPage): Promise<void> {
    const { connection, keys, scripts } = this.#deps;
    const owner = tenantId === undefined ? '' : JSON.stringify(tenantId);
    let from = '0';
    do {
      const reply = await connection.run(scripts.apiKeyIds, [keys.apiKeys], [from, String(STEP), owner]);
      const [next, ...ids] = reply as [string, ...string[]];
      for (const id of ids) page.add(id);
      from = next;
    } while (from !== '0');
  }

  async noteUsed(uses: [id: string, at: number][]): Promise<void> {
    const { connection, keys, scripts } = this.#deps;
    for (let first = 0; first < uses.length; first += STEP) {
      const args = uses.slice(first, first + STEP).flatMap(([id, at]) => [id, String(at)]);
      await connection.run(scripts.noteApiKeysUsed, [keys.apiKeys, keys.apiKeysUsed], args);
    }
  }

  async lastUsed(ids: string[]): Promise<[id: string, at: number][]> {
    const { connection, keys } = this.#deps;
    const stored = await connection.getFields(keys.apiKeysUsed, ids);
    return found(ids, stored).map(([id, text]) => [id, Number(text)]);
  }

  async publish(published: ApiKey[], complete: boolean): Promise<void> {
    const { connection, keys, scripts } = this.#deps;
    const gates = published
      .filter(({ revoked_at }) => revoked_at !== undefined)
      .map(({ id, tenant_id }) => keys.gate({ tenantId: tenant_id, scope: 'tenant', name: gateOfKey(id) }));
    const args = [complete ? '1' : '0', ...published.flatMap(encode)];
    await connection.run(scripts.publishApiKeys, [keys.apiKeys, ...gates], args);
  }
}

/** An empty text is something, too. */
const found = (ids: string[], stored: (string | null)[]): [id: string, text: string][] =>
  ids.flatMap((id, index): [string, string][] => {
    const text = stored[index];
    return typeof text === 'string' ? [[id, text]] : [];
  });

const encode = (key: ApiKey): string[] => [key.id, String(key.revision), JSON.stringify(key)];

/** `<revision>:<JSON>` */
function decode(id: string, stored: string): ApiKey {
  const [revision = ''] = stored.split(':', 1);
  const key = readApiKey(id, parsed(stored.slice(revision.length + 1)));
  if (String(key.revision) === revision) return key;
  throw new CountersUnavailable(`API key ${id} cannot be read: it is of revision ${key.revision}, not ${revision}`);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
