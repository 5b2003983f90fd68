import type { Clock } from '../../../runtime/clock.ts';
import type { Limit } from '../../../schemas/policy-io.ts';
import { CountersUnavailable } from '../contract.ts';
import { accountOf, type PartitionKeys } from '../keys.ts';
import {
  circuitGate,
  cooldownGate,
  type ModelHealth,
  type ProviderHealth,
  type ProviderOutcome,
  type ProviderRules,
} from '../provider-health.ts';
import type { Connection } from './connection.ts';
import { encodePlan } from './encode.ts';
import type { Scripts } from './scripts.ts';

export interface ProviderCallsDeps {
  /** To the server that holds these keys. */
  connection: Connection;
  keys: PartitionKeys;
  scripts: Pick<Scripts, 'providerOutcome' | 'providerHealth' | 'raise'>;
  clock: Clock;
}

/** What is known of the models of provider accounts, and their limits beside what we take. */
export class ProviderCalls {
  readonly #deps: ProviderCallsDeps;

  constructor(deps: ProviderCallsDeps) {
    this.#deps = deps;
  }

  async outcome(outcome: ProviderOutcome, rules: ProviderRules): Promise<ModelHealth> {
    const { connection, keys, scripts } = this.#deps;
    const { account, decidedAt, jitter, model, result, retryAfterMs } = outcome;
    const gate = (name: string) => keys.gate({ tenantId: '', scope: `shared:${account}`, name });
    const [, health] = (await connection.run(
      scripts.providerOutcome,
      [keys.health(account), gate(cooldownGate(model)), gate(circuitGate(model))],
      [
        model,
        result,
        String(decidedAt),
        retryAfterMs === undefined ? '' : String(retryAfterMs),
        String(jitter),
        JSON.stringify(rules),
      ],
    )) as [string, string];
    return JSON.parse(health);
  }

  async health(account: string): Promise<ProviderHealth> {
    const { connection, keys, scripts } = this.#deps;
    const [at, ...known] = (await connection.run(scripts.providerHealth, [keys.health(account)], [])) as string[];
    const models = new Map<string, ModelHealth>();
    for (let i = 0; i + 1 < known.length; i += 2) models.set(known[i] as string, JSON.parse(known[i + 1] as string));
    return { at: Number(at), models };
  }

  /** The store knows no calendar: told of periods that its clock is not in, it says its time, and is asked again, once. */
  async raise(limit: Limit, remaining: number): Promise<number> {
    const [at, used] = await this.#raise(limit, remaining, this.#deps.clock.now());
    if (used !== undefined) return Number(used);
    const [, again] = await this.#raise(limit, remaining, Number(at));
    if (again === undefined) throw new CountersUnavailable('the store’s clock is not where it was a moment ago');
    return Number(again);
  }

  #raise(limit: Limit, remaining: number, now: number): Promise<[at: string, used?: string]> {
    const { connection, keys, scripts } = this.#deps;
    const plan = { limits: [limit], candidates: [], raw_counters: false };
    const { keys: named, own, text } = encodePlan(plan, '', keys, now);
    const args = [text, String(remaining), own];
    return connection.run(scripts.raise, named, args) as Promise<[at: string, used?: string]>;
  }
}

/** The account that a limit is shared at. Throws where it is a tenant's own. */
export function accountOfLimit({ id, scope }: Limit): string {
  const account = accountOf(scope);
  if (account === undefined) throw new Error(`limit ${id} is not shared at a provider account`);
  return account;
}
