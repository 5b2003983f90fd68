import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../../runtime/clock.ts';
import type { CounterStore } from '../counters/contract.ts';
import type { Denials } from '../decision/denials.ts';
import type { RefusedCaller } from './identities.ts';

/** So many addresses of who is not let in are told apart in a second: nobody need show anything to make these events. */
const MAX_ADDRESSES = 100;

export interface RefusedCallersDeps {
  denials: Pick<Denials, 'deny'>;
  store: Pick<CounterStore, 'partitionOf'>;
  clock: Clock;
}

/** Counts who was not let in, as every denial is counted. What is known of them: a key that has ended, an address, or nothing. */
export class RefusedCallers {
  readonly #deps: RefusedCallersDeps;
  readonly #addresses = new Set<string>();
  #second = -1;

  constructor(deps: RefusedCallersDeps) {
    this.#deps = deps;
  }

  note({ address, credentialId, tenantId = '', why }: RefusedCaller): void {
    const { clock, denials, store } = this.#deps;
    const decisionId = `${uuidv7({ msecs: clock.now() })}.${store.partitionOf(tenantId)}`;
    const event = {
      tenant_id: tenantId,
      ...(credentialId !== undefined && { credential_id: credentialId }),
      ...(address !== undefined && this.#isTold(address) && { source_ip: address }),
    };
    const reason = why === 'too_many_failures' ? 'unidentified' : why;
    void denials.deny({ decisionId, event, reason });
  }

  #isTold(address: string): boolean {
    const second = Math.floor(this.#deps.clock.monotonic() / 1_000);
    if (second !== this.#second) this.#addresses.clear();
    this.#second = second;
    if (this.#addresses.size < MAX_ADDRESSES) this.#addresses.add(address);
    return this.#addresses.has(address);
  }
}
