import { v7 as uuidv7 } from 'uuid';
import { type AuditEvent, auditEventSchema } from '../../schemas/audit-event.ts';
import type {
  CalendarWindow,
  Concurrency,
  Limit,
  LimitOutcome,
  Outcome,
  Plan,
  Scope,
  TokenBucket,
} from '../../schemas/policy-io.ts';
import { planSchema } from '../../schemas/policy-io.ts';
import { type UsageEvent, usageEventSchema } from '../../schemas/usage-event.ts';
import type { UsageStream } from '../../schemas/usage-stream.ts';
import type {
  CounterSettings,
  CounterStore,
  SettleRequest,
  TakeRequest,
  TakeResult,
} from '../../sidecar/counters/contract.ts';

/** The store's clock, where a test may set it: `TestClock` is one. */
export interface StoreClock {
  now(): number;
  set(now: number): void | Promise<void>;
}

/** A store as a test is given it: open, and of nobody else. */
export interface OpenedStore {
  store: CounterStore;
  stream: UsageStream;
  /** Left out where the store's clock cannot be set. */
  clock?: StoreClock;
  /** Makes every server forget its scripts; left out where there are none. */
  flushScripts?: () => Promise<unknown>;
  /** Sends a command to whatever server holds the keys of partition 0; left out where there is none. */
  send?: (command: string[]) => Promise<unknown>;
  /** Another sidecar's store with the same keys; the embedded one is closed for it, and opened again. */
  another?: () => Promise<CounterStore>;
  /** How long its stream may be silent with entries in it; 1 ms if not given. */
  silentMs?: number;
  close(): Promise<void>;
}

export type OpenStore = (settings?: Partial<CounterSettings>) => Promise<OpenedStore>;

type LimitGiven = Partial<Omit<TokenBucket, 'refill'>> & { refill?: Partial<TokenBucket['refill']> };

const common = {
  subject: { type: 'tenant', id: 'self' },
  unit: 'tokens' as const,
  capacity: 10,
  cost: 1,
  settles: false,
  billed: false,
  on_exceed: 'deny' as const,
  thresholds: [] as number[],
  scope: 'tenant' as const,
};

/** A bucket with whatever the test does not care about filled in: ten tokens, refilled once a day. */
export const limit = ({ refill, ...given }: LimitGiven = {}): TokenBucket => ({
  ...common,
  id: 'bucket',
  kind: 'token_bucket',
  ...given,
  refill: { amount: 10, per_seconds: 86_400, mode: 'interval', ...refill },
});

type WindowGiven = Partial<Omit<CalendarWindow, 'window'>> & { window?: Partial<CalendarWindow['window']> };

/** A window with whatever the test does not care about filled in: ten tokens a day, from midnight UTC. */
export const calendarWindow = ({ window, ...given }: WindowGiven = {}): CalendarWindow => ({
  ...common,
  id: 'window',
  kind: 'window',
  ...given,
  window: { period: 'day', reset_time: '00:00', reset_day: 1, timezone: 'UTC', ...window },
});

/** Two calls in flight, unless the test says otherwise. */
export const inFlight = (given: Partial<Concurrency> = {}): Concurrency => ({
  ...common,
  id: 'in flight',
  kind: 'concurrency',
  unit: 'concurrent',
  capacity: 2,
  ...given,
});

export const plan = (...limits: Limit[]): Plan => ({ limits, candidates: [], raw_counters: true });

/** As a policy would have it: through the schema. Tests of hostile values go around it. */
export const candidates = (
  common: Limit[],
  ...list: { model: string; limits: Limit[]; gates?: string[]; scope?: Scope | undefined }[]
): Plan => planSchema.parse({ limits: common, candidates: list, raw_counters: true });

type TakeGiven = Partial<Omit<TakeRequest, 'plan' | 'event'>> & { event?: Partial<TakeRequest['event']> };

type Taken = Extract<TakeResult, { kind: 'taken' }>;

/** What every conformance test works with: a store, a tenant of the test's own, and short ways to ask both. */
export class Workbench {
  readonly store: CounterStore;
  readonly stream: UsageStream;
  readonly tenant = `tenant-${uuidv7()}`;
  readonly #opened: OpenedStore;
  readonly #events: UsageEvent[] = [];
  readonly #audits: AuditEvent[] = [];

  constructor(opened: OpenedStore) {
    this.#opened = opened;
    this.store = opened.store;
    this.stream = opened.stream;
  }

  get clock(): StoreClock {
    if (!this.#opened.clock) throw new Error('this store’s clock cannot be set');
    return this.#opened.clock;
  }

  async flushScripts(): Promise<void> {
    if (!this.#opened.flushScripts) throw new Error('this store has no scripts');
    await this.#opened.flushScripts();
  }

  async send(command: string[]): Promise<unknown> {
    if (!this.#opened.send) throw new Error('this store has no server');
    return this.#opened.send(command);
  }

  async another(): Promise<CounterStore> {
    if (!this.#opened.another) throw new Error('this store cannot be opened twice');
    return this.#opened.another();
  }

  close(): Promise<void> {
    return this.#opened.close();
  }

  newId(): string {
    return `${uuidv7()}.${this.store.partitionOf(this.tenant)}`;
  }

  take(what: Plan | Limit, { event, ...given }: TakeGiven = {}): Promise<TakeResult> {
    return this.store.take({
      decisionId: this.newId(),
      plan: 'limits' in what ? what : plan(what),
      fingerprint: 'body',
      ...given,
      event: { tenant_id: this.tenant, ...event },
    });
  }

  /** A take that is to be granted, under an id that is given back. */
  async taken(what: Plan | Limit, given: TakeGiven = {}): Promise<Taken & { id: string }> {
    const id = given.decisionId ?? this.newId();
    const result = await this.take(what, { ...given, decisionId: id });
    if (result.kind !== 'taken') throw new Error(`expected the take to be granted, it was ${result.kind}`);
    return { ...result, id };
  }

  async refused(what: Plan | Limit, given: TakeGiven = {}): Promise<Outcome> {
    const result = await this.take(what, given);
    if (result.kind !== 'refused') throw new Error(`expected the take to be refused, it was ${result.kind}`);
    return result.outcome;
  }

  settle(decisionId: string, tokens: number, given: Partial<SettleRequest> = {}) {
    return this.store.settle({
      decisionId,
      kind: 'settle',
      actual: { tokens },
      fingerprint: `used ${tokens}`,
      ...given,
    });
  }

  void(decisionId: string, given: Partial<SettleRequest> = {}) {
    return this.store.settle({ decisionId, kind: 'void', actual: {}, fingerprint: 'failed', ...given });
  }

  async peek(what: Plan | Limit, tenant = this.tenant): Promise<Outcome> {
    return (await this.store.peek('limits' in what ? what : plan(what), tenant)).outcome;
  }

  /** What is in use of a limit now. */
  async used(of: Limit): Promise<number> {
    return only(await this.peek({ ...of, cost: 0 })).before;
  }

  /** Time passes, or the clock is set back. */
  async advance(milliseconds: number): Promise<void> {
    await this.clock.set(this.clock.now() + milliseconds);
  }

  /** All usage events of this test's tenants so far, in order. Every entry is checked against the stream's schema. */
  async events(tenant = this.tenant): Promise<UsageEvent[]> {
    await this.#read();
    return this.#events.filter(({ tenant_id }) => tenant_id === tenant);
  }

  /** All audit events so far, of any tenant, in the order of their partition. */
  async audits(): Promise<AuditEvent[]> {
    await this.#read();
    return [...this.#audits];
  }

  async #read(): Promise<void> {
    const { silentMs = 1 } = this.#opened;
    for (let silent = 0; silent < silentMs; ) {
      const entries = await this.stream.read(1_000, silentMs);
      silent += entries.length === 0 ? Math.ceil(silentMs / 2) : 0;
      for (const { event } of entries) this.#keep(JSON.parse(event ?? ''));
      await this.stream.acknowledge(entries.map(({ id }) => id));
    }
  }

  #keep(event: { type: unknown }): void {
    if (event.type === 'audit') this.#audits.push(auditEventSchema.parse(event));
    else this.#events.push(usageEventSchema.parse(event));
  }
}

/** The one limit of an outcome. */
export function only({ limits }: Outcome): LimitOutcome {
  if (limits.length !== 1) throw new Error(`expected one limit, there are ${limits.length}`);
  return limits[0] as LimitOutcome;
}
