import { type ApiKey, gateOfKey } from '../../schemas/api-key.ts';
import type { ApiKeyChange, ApiKeyChanged } from '../../sidecar/counters/api-keys.ts';
import type { CounterStore } from '../../sidecar/counters/contract.ts';
import type { Workbench } from './workbench.ts';

export const DAY_MS = 86_400_000;

/** A key with whatever the test does not care about filled in. */
export const apiKey = (given: Partial<ApiKey> = {}): ApiKey => ({
  v: 1,
  id: 'k0_000000000000',
  revision: 1,
  digest: 'ab'.repeat(32),
  tenant_id: 't1',
  created_at: 1_000,
  created_by: 'admin',
  ...given,
});

/** Short ways to API keys, of the workbench's tenant unless the test says otherwise. */
export class ApiKeyBench {
  readonly #bench: Workbench;
  readonly #store: CounterStore;
  #audits = 0;

  constructor(bench: Workbench) {
    this.#bench = bench;
    this.#store = bench.store;
  }

  get partition(): number {
    return this.#store.partitionOf(this.#bench.tenant);
  }

  key(
    name: string,
    given: Partial<ApiKey> = {},
    partition = this.#store.partitionOf(given.tenant_id ?? this.#bench.tenant),
  ): ApiKey {
    return apiKey({ id: `k${partition}_${name.padEnd(12, '0')}`, tenant_id: this.#bench.tenant, ...given });
  }

  audit(id = `audit ${++this.#audits}`): ApiKeyChange['audit'] {
    return { id, action: 'key.issued', actor: 'admin' };
  }

  change(keys: ApiKey[], given: Partial<ApiKeyChange> = {}, store = this.#store): Promise<ApiKeyChanged> {
    const [first] = keys;
    const tenantId = first?.tenant_id ?? this.#bench.tenant;
    return store.changeApiKeys({ tenantId, keys, closeGates: [], audit: this.audit(), ...given });
  }

  async issued(name: string, given: Partial<ApiKey> = {}): Promise<ApiKey> {
    const key = this.key(name, given);
    const result = await this.change([key]);
    if (result !== 'changed') throw new Error(`expected ${gateOfKey(key.id)} to be issued, it was ${result}`);
    return key;
  }

  /** The ids of each page. */
  async pages(request: { tenantId?: string; after?: string | undefined; limit: number }): Promise<string[][]> {
    const pages: string[][] = [];
    for (let after = request.after, last = false; !last; ) {
      const { keys, next } = await this.#store.apiKeys({ ...request, after });
      pages.push(keys.map(({ id }) => id));
      last = next === undefined;
      after = next;
    }
    return pages;
  }
}
