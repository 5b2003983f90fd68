import { ConfigError } from '../../../runtime/config/config-error.ts';
import { CountersUnavailable } from '../contract.ts';
import { partitionCountKey } from '../keys.ts';
import type { Connection } from './connection.ts';
import type { Script } from './scripts.ts';

export interface PartitionCountDeps {
  /** To the server that holds `partitionCountKey`. */
  connection: Connection;
  /** `partitions-1.lua`. */
  script: Script;
  /** How many this process spreads the keys over. */
  partitions: number;
  /** Told of a store that was first reached after the start and is spread over another number. */
  refuse(error: ConfigError): void;
}

/**
 * Sees to it that the keys of a store are always spread over the same number of partitions: with another one a tenant's
 * counters would be looked for where they are not, and a counter that is not there is a full bucket. The first process
 * writes the number into the store, and nothing is asked of a store before its number is known.
 */
export class PartitionCount {
  readonly #deps: PartitionCountDeps;
  #checked: Promise<void> | undefined;
  #opening = true;

  constructor(deps: PartitionCountDeps) {
    this.#deps = deps;
  }

  /** Throws `ConfigError` if the number is another one; a store that is away is looked at when it is there. */
  async open(): Promise<void> {
    try {
      await this.#known();
    } catch (error) {
      if (error instanceof ConfigError) throw error;
    } finally {
      this.#opening = false;
    }
  }

  guarded(connection: Connection): Connection {
    return {
      callsArePaid: connection.callsArePaid,
      get: (key) => connection.get(key),
      getFields: (key, fields) => connection.getFields(key, fields),
      ping: () => connection.ping(),
      close: () => connection.close(),
      run: async (script, keys, args) => {
        await this.#known();
        return connection.run(script, keys, args);
      },
    };
  }

  #known(): Promise<void> {
    this.#checked ??= this.#check().catch((error) => {
      if (!(error instanceof ConfigError)) {
        this.#checked = undefined;
        throw error;
      }
      if (this.#opening) throw error;
      this.#deps.refuse(error);
      throw new CountersUnavailable(error.problems.join('\n'));
    });
    return this.#checked;
  }

  async #check(): Promise<void> {
    const { connection, partitions, script } = this.#deps;
    const found = Number(await connection.run(script, [partitionCountKey], [String(partitions)]));
    if (found === partitions) return;
    throw new ConfigError([
      `the counters in this store are spread over ${found} partitions, and this process would look for them in ${partitions}: ` +
        'a single Redis or Upstash has 1, a Redis Cluster 64, and their data cannot be copied from one to the other. ' +
        'Connect to the store that the data comes from, or begin with an empty one',
    ]);
  }
}
