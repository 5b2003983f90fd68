import type { Change } from './program-copy.ts';

/** A fault that is planted in the programs, and the invariants of which one must tell. */
export interface Mutant {
  name: string;
  changes: readonly Change[];
  violates: readonly string[];
}

const TAKE = 'sidecar/counters/redis/lua/take-3.lua';
const WITH_PLAN = 'sidecar/counters/redis/lua/includes/take.lua';
const SETTLE = 'sidecar/counters/redis/lua/settle-3.lua';
const CONSUME = 'dist/billing-worker/consume.js';

const WRITE = "await this.#retry('writing the ledger', () => append(entries));";
const ACKNOWLEDGE =
  "await this.#retry('acknowledging usage events', () => stream.acknowledge(entries.map(({ id }) => id)));";

export const MUTANTS: readonly Mutant[] = [
  {
    // As if it were written after the counters: where it cannot be, they have moved.
    name: 'the counters move although the usage event cannot be written',
    changes: [{ file: TAKE, from: '  if added.err then error(added.err, 0) end\n', to: '' }],
    violates: ['I1', 'I2', 'I3'],
  },
  {
    name: 'a worker acknowledges before it commits',
    changes: [
      { file: CONSUME, from: WRITE, to: 'WRITE' },
      { file: CONSUME, from: ACKNOWLEDGE, to: WRITE },
      { file: CONSUME, from: 'WRITE', to: ACKNOWLEDGE },
    ],
    violates: ['I8'],
  },
  {
    name: 'the ledger does not know what it has',
    changes: [
      {
        file: 'dist/billing-worker/ledger/append-sql.js',
        from: '\n  on conflict (id, decided_at) do nothing',
        to: '',
      },
      {
        file: 'schemas/migrations/0006_ledger_partitions.sql',
        from: 'ALTER TABLE "usage_events" ADD CONSTRAINT "usage_events_pk" PRIMARY KEY ("id","decided_at");',
        to: 'SELECT 1;',
      },
    ],
    violates: ['I2'],
  },
  {
    name: 'a clock that was set back refills twice',
    changes: [
      {
        file: 'sidecar/counters/redis/lua/includes/token-bucket.lua',
        from: 'return paid(state, amount, now, max(state.at, now), carried % rule.period)',
        to: 'return paid(state, amount, now, now, carried % rule.period)',
      },
    ],
    violates: ['I3'],
  },
  {
    name: 'a key outlives its revocation in a cache',
    changes: [
      { file: 'dist/sidecar/keys/issued-keys.js', from: 'const FRESH_MS = 1_000;', to: 'const FRESH_MS = 3_600_000;' },
      // The gate of a key is shut by its revocation: without it, the cache alone lets nobody in.
      { file: TAKE, from: "decision.gate ~= '' and closed_until(decision.gate, now)", to: 'false' },
    ],
    violates: ['I6'],
  },
  {
    name: 'a request id is not remembered',
    changes: [
      {
        file: WITH_PLAN,
        from: "if request_key ~= '' then redis.call('SET', request_key, record_key, 'PX', text(RECORD_TTL_MS)) end",
        to: '',
      },
    ],
    violates: ['I9'],
  },
  {
    name: 'a report is not remembered',
    changes: [
      { file: SETTLE, from: "redis.call('SET', record_key, cjson.encode(record), 'KEEPTTL')", to: 'local _ = kept' },
    ],
    violates: ['I4', 'I2'],
  },
];
