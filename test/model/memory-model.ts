import type { Limit } from '../../schemas/policy-io.ts';
import type { Gate } from '../../sidecar/counters/contract.ts';
import type { CounterModel } from './counter-model.ts';
import type { Grant, Step } from './grant-model.ts';

interface KeptCounter {
  counter: CounterModel;
  /** From when on it may be forgotten, and whether that was reached since. */
  until: number;
  reached: boolean;
}

export const counterKey = (tenantId: string, { id, kind, scope, subject }: Limit): string =>
  JSON.stringify([scope === 'tenant' ? [tenantId] : scope, subject.type, subject.id, kind, id]);

const gateKey = ({ name, scope, tenantId }: Gate): string =>
  JSON.stringify([scope === 'tenant' ? [tenantId] : scope, name]);

export const requestKey = (tenantId: string, requestId: string): string => JSON.stringify([tenantId, requestId]);

/**
 * What a store remembers. It forgets nothing, but knows what a store may have forgotten: what meant nothing any more at
 * some time since. Where the clock was set back to before that, both are right.
 */
export class MemoryModel {
  readonly #counters = new Map<string, KeptCounter>();
  readonly #grants = new Map<string, Grant>();
  readonly #requests = new Map<string, string>();
  readonly #gates = new Map<string, { until: number; reached: boolean }>();
  #forgetful = false;

  /** The store's clock reached this instant. */
  reach(now: number): void {
    for (const kept of this.#counters.values()) kept.reached ||= now >= kept.until;
    for (const gate of this.#gates.values()) gate.reached ||= now >= gate.until;
    for (const grant of this.#grants.values()) grant.over ||= now >= (grant.keptUntil ?? Number.POSITIVE_INFINITY);
  }

  keep({ counters = [], grant, request }: Step<unknown>): void {
    for (const [key, counter, until] of counters) {
      const before = this.#counters.get(key);
      const times = until === undefined && before ? before : { until: until ?? 0, reached: false };
      this.#counters.set(key, { counter, until: times.until, reached: times.reached });
    }
    if (grant) this.#grants.set(grant.id, grant);
    if (request?.[1] !== undefined) this.#requests.set(request[0], request[1]);
    else if (request) this.#requests.delete(request[0]);
  }

  /** The same question to a memory that has forgotten all the counters that it may. */
  forgetting<Result>(ask: () => Result): Result {
    this.#forgetful = true;
    try {
      return ask();
    } finally {
      this.#forgetful = false;
    }
  }

  counter(key: string): CounterModel | undefined {
    const kept = this.#counters.get(key);
    return kept && !(this.#forgetful && kept.reached) ? kept.counter : undefined;
  }

  grant(decisionId: string): Grant | undefined {
    return this.#grants.get(decisionId);
  }

  /** The grant, if a store has its record now. */
  record(decisionId: string | undefined, now: number): Grant | undefined {
    const grant = decisionId === undefined ? undefined : this.#grants.get(decisionId);
    return grant?.keptUntil !== undefined && now < grant.keptUntil ? grant : undefined;
  }

  /** The decision that a request id was granted for, however long ago. */
  grantedFor(key: string | undefined): string | undefined {
    return key === undefined ? undefined : this.#requests.get(key);
  }

  /** Reservations that are neither settled, voided nor expired, in the order in which they were taken. */
  get open(): (Grant & { openUntil: number })[] {
    return [...this.#grants.values()].flatMap(({ openUntil, ...rest }) =>
      openUntil === undefined ? [] : [{ ...rest, openUntil }],
    );
  }

  setGate(gate: Gate, until: number | undefined): void {
    this.#gates.delete(gateKey(gate));
    if (until !== undefined) this.#gates.set(gateKey(gate), { until, reached: false });
  }

  closedUntil(gate: Gate, now: number): number | undefined {
    const closed = this.#gates.get(gateKey(gate));
    return closed && now < closed.until ? closed.until : undefined;
  }

  isDoubtfulGate(gate: Gate, now: number): boolean {
    const closed = this.#gates.get(gateKey(gate));
    return closed?.reached === true && now < closed.until;
  }

  isDoubtfulRecord(decisionId: string, now: number): boolean {
    return this.#grants.get(decisionId)?.over === true && this.record(decisionId, now) !== undefined;
  }
}
