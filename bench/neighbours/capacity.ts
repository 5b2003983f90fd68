import { median, type Results } from './results.ts';

/** What is assumed beside the measured figures; change it where yours are others. */
const ASSUMED = {
  /** How busy a core may be in the busiest minute, so that p99 stays what it is. */
  busy: 0.6,
  /** USD for a core and hour, of a rented virtual machine. */
  coreHour: 0.04,
  /** USD for a GB and month of a database's disk. */
  gbMonth: 0.12,
  /** Months that an event stays in the ledger. */
  months: 13,
} as const;

const SECONDS_A_DAY = 86_400;
/** A cluster has so many slots of its own for tenants: more masters than that would have nothing to do. */
const PARTITIONS = 64;

export interface Capacity {
  /** Decisions a second that this is for. */
  perSecond: number;
  sidecarCores: number;
  /** Each is one thread, so one core. */
  redisMasters: number;
  workerCores: number;
  postgresCores: number;
  ledgerGbADay: number;
}

/** Microseconds of CPU for a decision in each part, and bytes in the ledger. */
export interface Parts {
  sidecar: number;
  redis: number;
  worker: number;
  postgres: number;
  bytes: number;
}

/** Undefined where something of it was not measured. */
export function partsOf({ others, systems }: Results): Parts | undefined {
  const rounds = systems.find(({ name }) => name === 'ours')?.rounds;
  const { 'ledger-bytes': bytes, 'postgres-us': postgres, 'worker-us': worker } = others;
  if (!rounds || bytes === undefined || postgres === undefined || worker === undefined) return undefined;
  const sidecar = median(rounds.map(({ cpu }) => cpu.server));
  return { sidecar, redis: median(rounds.map(({ cpu }) => cpu.store)), worker, postgres, bytes };
}

/** What it takes to carry so many decisions a second. */
export function capacity(perSecond: number, { bytes, postgres, redis, sidecar, worker }: Parts): Capacity {
  const cores = (microseconds: number) => (perSecond * microseconds) / 1e6 / ASSUMED.busy;
  return {
    perSecond,
    sidecarCores: cores(sidecar),
    redisMasters: Math.max(1, Math.ceil(cores(redis))),
    workerCores: cores(worker),
    postgresCores: cores(postgres),
    ledgerGbADay: (perSecond * SECONDS_A_DAY * bytes) / 1e9,
  };
}

/** USD for a million decisions: computing, and the ledger's disk. */
export function costOfMillion({ bytes, postgres, redis, sidecar, worker }: Parts): { computing: number; disk: number } {
  // A million decisions of so many microseconds each are as many seconds.
  const coreSeconds = (sidecar + redis + worker + postgres) / ASSUMED.busy;
  return {
    computing: (coreSeconds / 3_600) * ASSUMED.coreHour,
    disk: ((1e6 * bytes) / 1e9) * ASSUMED.gbMonth * ASSUMED.months,
  };
}

const RATES = [1_000, 10_000, 100_000, 1_000_000];

/** In Markdown. */
export function capacityTable(parts: Parts): string {
  const head = ['decisions/s', 'sidecar cores', 'Redis masters', 'worker cores', 'PostgreSQL cores', 'ledger GB a day'];
  const rows = RATES.map((rate) => {
    const { ledgerGbADay, postgresCores, redisMasters, sidecarCores, workerCores } = capacity(rate, parts);
    const masters = redisMasters > PARTITIONS ? `**${redisMasters}**` : String(redisMasters);
    const cores = [sidecarCores, workerCores, postgresCores].map((count) => count.toFixed(1));
    return [rate.toLocaleString('en'), cores[0], masters, cores[1], cores[2], ledgerGbADay.toFixed(0)];
  });
  const { computing, disk } = costOfMillion(parts);
  const lines = [head, head.map(() => '--:'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `${lines.join('\n')}\n\nA million decisions: ${computing.toFixed(3)} USD of computing, ${disk.toFixed(3)} USD of disk.`;
}
