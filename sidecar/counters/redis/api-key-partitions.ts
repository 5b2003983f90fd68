import { type ApiKey, partitionOfKey } from '../../../schemas/api-key.ts';
import { changeEvent, checkPublished } from '../api-key-checks.ts';
import { ApiKeyPage } from '../api-key-page.ts';
import type {
  ApiKeyChange,
  ApiKeyChanged,
  ApiKeyPageRequest,
  ApiKeyPublication,
  ApiKeyStore,
  ApiKeys,
} from '../api-keys.ts';
import { CountersUnavailable } from '../contract.ts';
import type { ApiKeyCalls } from './api-keys.ts';

/** The API keys of all partitions. A key is found by its id alone. */
export class ApiKeyPartitions implements ApiKeyStore {
  readonly #partitions: ApiKeyCalls[];
  readonly #partitionOf: (tenantId: string) => number;

  constructor(partitions: ApiKeyCalls[], partitionOf: (tenantId: string) => number) {
    this.#partitions = partitions;
    this.#partitionOf = partitionOf;
  }

  async apiKey(id: string): Promise<ApiKey | undefined> {
    const [key] = (await this.#ofKey(id)?.kept([id])) ?? [];
    return key;
  }

  async changeApiKeys(change: ApiKeyChange): Promise<ApiKeyChanged> {
    const event = changeEvent(change, this.#partitionOf);
    return this.#at(this.#partitionOf(change.tenantId)).change(change, event);
  }

  /** Ids begin with their partition, so each has a span of them of its own; no more are asked than fill the page. */
  async apiKeys(request: ApiKeyPageRequest): Promise<ApiKeys> {
    const { after = '', tenantId } = request;
    const page = new ApiKeyPage(request);
    const span = (partition: number) => `k${partition}_`;
    const all = tenantId === undefined ? [...this.#partitions.keys()] : [this.#partitionOf(tenantId)];
    const inOrder = all.toSorted((a, b) => (span(a) < span(b) ? -1 : 1));
    for (const partition of inOrder) {
      if (page.isFull) break;
      if (`${span(partition)}~` > after) await this.#at(partition).list(tenantId, page);
    }
    const { ids, next } = page.end();
    const kept = await Promise.all([...this.#grouped(ids)].map(([partition, own]) => this.#at(partition).kept(own)));
    return { keys: kept.flat(), next };
  }

  /** Every partition is told, whatever comes of the others; then the first failure is thrown. */
  async noteApiKeysUsed(uses: ReadonlyMap<string, number>): Promise<void> {
    const told = [...this.#grouped(uses.keys())].map(([partition, ids]) =>
      this.#at(partition).noteUsed(ids.map((id) => [id, uses.get(id) as number])),
    );
    const failed = (await Promise.allSettled(told)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  async apiKeysLastUsed(ids: readonly string[]): Promise<Map<string, number>> {
    const asked = [...this.#grouped(ids)].map(([partition, own]) => this.#at(partition).lastUsed(own));
    return new Map((await Promise.all(asked)).flat());
  }

  async partitionsWithoutApiKeys(): Promise<number[]> {
    const asked = await Promise.allSettled(this.#partitions.map((partition) => partition.isPublished()));
    return asked.flatMap((answer, partition) => (answer.status === 'fulfilled' && !answer.value ? [partition] : []));
  }

  async publishApiKeys({ complete, keys, partition }: ApiKeyPublication): Promise<void> {
    await this.#at(partition).publish(checkPublished(keys, partition, this.#partitionOf), complete);
  }

  #at(partition: number): ApiKeyCalls {
    const found = this.#partitions[partition];
    if (found) return found;
    throw new CountersUnavailable(`there is no partition ${partition} for API keys`);
  }

  #ofKey(id: string): ApiKeyCalls | undefined {
    return this.#partitions[partitionOfKey(id) ?? -1];
  }

  /** Ids by their partition; what is no id of a key here is left out. */
  #grouped(ids: Iterable<string>): Map<number, string[]> {
    const groups = new Map<number, string[]>();
    for (const id of ids) {
      const partition = partitionOfKey(id) ?? -1;
      if (!this.#partitions[partition]) continue;
      const own = groups.get(partition) ?? [];
      groups.set(partition, own);
      own.push(id);
    }
    return groups;
  }
}
