import type { Clock } from '../../runtime/clock.ts';
import type { CounterStore } from '../counters/contract.ts';
import { apply, type Effect } from '../counters/embedded/effect.ts';
import { decideExpiry } from '../counters/embedded/expire.ts';
import { emptyState, type State } from '../counters/embedded/state.ts';
import { EmbeddedStore } from '../counters/embedded/store.ts';
import { Sweep } from '../counters/embedded/sweep.ts';

/** Counters and records looked at for each step: more than a step adds on average, so what is expired goes. */
const SWEEP_BUDGET = 8;

export interface ScratchOptions {
  clock: Clock;
  reservationTtlMs?: number;
  maxRecords?: number;
}

export interface Scratch {
  store: CounterStore;
  /** All that it knows. */
  state: State;
  /** Marks every reservation whose time is over as expired, at once. */
  expire(): void;
}

/**
 * The embedded store in memory alone: it counts by the same rules, and what it counted ends with it. Nothing is journaled,
 * and no usage event is kept. A step is carried out while it is called, before its promise is even awaited.
 */
export function createScratchStore(options: ScratchOptions): Scratch {
  const { clock, maxRecords = 1_000_000, reservationTtlMs = 900_000 } = options;
  const state = emptyState();
  const sweep = new Sweep(state);
  const change = (effect: Effect | undefined) => {
    if (!effect) return;
    const { event: _, ...changes } = effect;
    apply(state, changes);
  };
  const store = new EmbeddedStore({
    state,
    clock,
    settings: { reservationTtlMs, maxRecords, timeoutMs: 250 },
    commit: async (effect) => change(effect),
    sweep: (now) => sweep.run(now, SWEEP_BUDGET),
    check: () => {},
    onClose: async () => {},
  });
  const expire = () => {
    for (let due = true; due; ) {
      const { answer, effect } = decideExpiry(state, clock.now());
      change(effect);
      due = answer;
    }
  };
  return { store, state, expire };
}
