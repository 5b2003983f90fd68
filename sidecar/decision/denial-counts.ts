import type { EventSubject } from '../counters/contract.ts';

/** Whose denials are counted together. */
export type Caller = Pick<EventSubject, 'tenant_id' | 'user_id' | 'agent_id' | 'credential_id' | 'source_ip'>;

export interface DenialCount {
  /** Its names and nothing else. */
  caller: Caller;
  reasons: Map<string, number>;
}

/** The same for the same names only: no name holds NUL. */
export const callerKey = ({
  agent_id = '',
  credential_id = '',
  source_ip = '',
  tenant_id,
  user_id = '',
}: Caller): string => `${tenant_id}\0${user_id}\0${agent_id}\0${credential_id}\0${source_ip}`;

const namesOf = ({ agent_id, credential_id, source_ip, tenant_id, user_id }: Caller): Caller => ({
  tenant_id,
  ...(user_id !== undefined && { user_id }),
  ...(agent_id !== undefined && { agent_id }),
  ...(credential_id !== undefined && { credential_id }),
  ...(source_ip !== undefined && { source_ip }),
});

/**
 * Counts denials by caller, in bounded memory, and loses none: with `max` callers, the denials of any other are counted
 * under their tenant alone; with as many tenants beside them, under no name (`tenant_id` is then empty).
 */
export class DenialCounts {
  readonly #max: number;
  readonly #counts = new Map<string, DenialCount>();
  #total = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** How many denials are counted. */
  get total(): number {
    return this.#total;
  }

  add(caller: Caller, reason: string, times = 1): void {
    const { reasons } = this.#countOf(caller);
    reasons.set(reason, (reasons.get(reason) ?? 0) + times);
    this.#total += times;
  }

  /** What was drained and could not be written. */
  putBack({ caller, reasons }: DenialCount): void {
    for (const [reason, times] of reasons) this.add(caller, reason, times);
  }

  /** All that is counted; from then on it counts from zero. */
  drain(): DenialCount[] {
    const drained = [...this.#counts.values()];
    this.#counts.clear();
    this.#total = 0;
    return drained;
  }

  #countOf(caller: Caller): DenialCount {
    return (
      this.#within(this.#max, caller) ??
      this.#within(2 * this.#max, { tenant_id: caller.tenant_id }) ??
      (this.#within(Number.POSITIVE_INFINITY, { tenant_id: '' }) as DenialCount)
    );
  }

  #within(max: number, caller: Caller): DenialCount | undefined {
    const key = callerKey(caller);
    let count = this.#counts.get(key);
    if (!count && this.#counts.size < max) {
      count = { caller: namesOf(caller), reasons: new Map() };
      this.#counts.set(key, count);
    }
    return count;
  }
}
