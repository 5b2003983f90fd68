import type { CounterSettings } from '../../sidecar/counters/contract.ts';

/** The defaults. */
export const SETTINGS: CounterSettings = { reservationTtlMs: 900_000, timeoutMs: 10_000, maxRecords: 5_000_000 };
