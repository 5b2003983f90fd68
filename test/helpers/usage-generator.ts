import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../runtime/package-root.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { type TenantsConfig, tenantsSchema } from '../../schemas/config/tenants.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { StreamEntry } from '../../schemas/usage-stream.ts';
import { type Cast, generatedPair, randomOf } from './generated-event.ts';

const STREAM = 'ocr:{p0}:usage';
/** Of 1,000 events so many are delivered twice, come after all others, and are poison beside them. */
const TWICE = 50;
const LATE = 10;
const POISON = 1;

export interface GeneratedUsage {
  /** The same seed gives the same events in the same order. */
  seed: number;
  events: number;
  tenants: number;
  /** How many months of UTC they are spread over, from `start` on. */
  months: number;
  /** The first of a month. */
  start?: string;
}

/** Cycles and prices that tenants have in turn. */
const TERMS = [
  { billing_cycle: { period: 'month', anchor_day: 1, timezone: 'UTC' } },
  { billing_cycle: { period: 'month', anchor_day: 31, timezone: 'Europe/Berlin' }, price_per_token: '0.00025' },
  { billing_cycle: { period: 'week', anchor_day: 3, timezone: 'Asia/Kolkata' }, price_per_token: '0.000000000001' },
  { billing_cycle: { period: 'month', anchor_day: 15, timezone: 'America/New_York' } },
  { billing_cycle: { period: 'quarter', anchor_day: 1, timezone: 'Australia/Lord_Howe' }, price_per_token: '0.00007' },
];

/**
 * A plausible stream of usage events with all that goes wrong in one. An event is a function of the seed and its index, so a
 * million of them take no memory.
 */
export class UsageGenerator {
  readonly events: number;
  /** The configuration of `tenants.yaml` that the tenants of the events are in. */
  readonly tenants: TenantsConfig;
  readonly from: number;
  readonly to: number;
  readonly #cast: Cast;
  readonly #seed: number;

  constructor({ events, months, seed, start = '2026-01-01T00:00:00Z', tenants }: GeneratedUsage) {
    this.events = events - (events % 2);
    this.#seed = seed;
    this.from = Date.parse(start);
    const first = new Date(this.from);
    this.to = Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + months);
    const names = Array.from({ length: tenants }, (_, i) => `tenant-${i}`);
    this.tenants = tenantsSchema.parse({
      defaults: { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
      tenants: Object.fromEntries(names.map((name, i) => [name, TERMS[i % TERMS.length]])),
    });
    this.#cast = { tenants: names, models: modelNames(), from: this.from, to: this.to };
  }

  get poison(): number {
    return Math.max(POISONS.length, Math.floor((this.events * POISON) / 1_000));
  }

  event(index: number): UsageEvent {
    const pair = index >> 1;
    const progress = (pair * 2) / this.events;
    return generatedPair(pair, progress, randomOf(this.#seed, pair), this.#cast)[index & 1] as UsageEvent;
  }

  isLate(index: number): boolean {
    return randomOf(this.#seed + 1, index)() * 1_000 < LATE;
  }

  /** Each event once and nothing else, in the order of time. */
  *inOrder(): Generator<StreamEntry> {
    for (let index = 0; index < this.events; index++) yield this.#entry(index);
  }

  /** What arrives in time: shuffled, some of it twice, with poison in it. */
  *onTime(): Generator<StreamEntry> {
    const deliveries: number[] = [];
    for (let index = 0; index < this.events; index++) {
      if (this.isLate(index)) continue;
      deliveries.push(index);
      if (this.#isTwice(index)) deliveries.push(index);
    }
    for (let index = 0; index < this.poison; index++) deliveries.push(-1 - index);
    for (const delivery of this.#shuffled(deliveries)) {
      yield delivery < 0 ? this.#poison(-1 - delivery) : this.#entry(delivery);
    }
  }

  /** What arrives after all of that: the rest. */
  *late(): Generator<StreamEntry> {
    for (let index = 0; index < this.events; index++) if (this.isLate(index)) yield this.#entry(index);
  }

  #isTwice(index: number): boolean {
    return randomOf(this.#seed + 2, index)() * 1_000 < TWICE;
  }

  #entry(index: number): StreamEntry {
    return entry(`1768478400000-${index}`, JSON.stringify(this.event(index)));
  }

  #poison(index: number): StreamEntry {
    const { spoil } = POISONS[index % POISONS.length] as (typeof POISONS)[number];
    const event = this.event(Math.floor((index / this.poison) * this.events));
    return entry(`1768478400001-${index}`, spoil({ ...event, id: `poison-${index}:${event.type}` }));
  }

  #shuffled(deliveries: number[]): Int32Array {
    const order = Int32Array.from(deliveries);
    const random = randomOf(this.#seed + 3, 0);
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    return order;
  }
}

/** Kinds of poison, in turn, and the reason that each is put aside for. */
export const POISONS: { reason: RegExp; spoil: (event: UsageEvent) => string | undefined }[] = [
  { reason: /not JSON/, spoil: (event) => JSON.stringify(event).slice(0, -9) },
  { reason: /tenant_id/, spoil: (event) => JSON.stringify({ ...event, tenant_id: undefined }) },
  { reason: /version 2 is newer than 1/, spoil: (event) => JSON.stringify({ ...event, v: 2 }) },
  { reason: /must not contain NUL/, spoil: (event) => JSON.stringify({ ...event, user_id: 'a\u0000b' }) },
  { reason: /surrogate/i, spoil: (event) => JSON.stringify({ ...event, user_id: '\ud800' }) },
  { reason: /decided_at/, spoil: (event) => JSON.stringify({ ...event, decided_at: event.decided_at + 0.5 }) },
  // More than an index takes: PostgreSQL alone can tell.
  { reason: /index row/, spoil: (event) => JSON.stringify({ ...event, user_id: longName(event.decided_at) }) },
  { reason: /no field "e"/, spoil: () => undefined },
];

/** It does not shrink when PostgreSQL compresses it. */
function longName(seed: number): string {
  const random = randomOf(seed, 0);
  return Array.from({ length: 9_000 }, () => String.fromCharCode(0x4e00 + random() * 20_000)).join('');
}

const entry = (id: string, event: string | undefined): StreamEntry => ({ stream: STREAM, id, event, redelivered: 0 });

/** Of the example configuration, aliases as well. */
function modelNames(): Cast['models'] {
  const text = readFileSync(join(packageRoot, 'config', 'models.yaml'), 'utf8');
  const { models } = modelsSchema.parse(parse(text));
  return Object.entries(models).flatMap(([id, { aliases, weight }]) =>
    [id, ...aliases].filter((name) => !name.endsWith('*')).map((name) => ({ name, weight })),
  );
}
