import { SimulatedClock } from '../../sidecar/simulation/simulated-clock.ts';
import type { Call } from './day.ts';
import { Dice } from './dice.ts';
import { anthropic, FakeProvider, google, openai, type Reply } from './fake-provider.ts';
import { Tally } from './tally.ts';
import { Timeline } from './timeline.ts';

/** What each provider account allows: rows of the table in `config/providers.yaml`. */
export const ACCOUNTS = {
  anthropic: { tier: '2', rules: anthropic(1_000, 450_000) },
  openai: { tier: '1', rules: openai(500, 200_000) },
  google: { tier: 'free', rules: google(15, 32_000, 1_500) },
};

/** After so long a user gives up. */
export const PATIENCE_MS = 10 * 60_000;

/** As OpenClaw documents it: twice as long each time that nothing came of it, up to the most. */
const FIRST_PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 30_000;
export const pauseMs = (failures: number): number => Math.min(MOST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));

export interface WorldOptions {
  seed: number;
  /** When it begins: epoch milliseconds. */
  at: number;
  /** From a decision to the arrival of the call at the provider. */
  latencyMs: readonly [least: number, most: number];
}

/** Providers, time, and what comes of it all. */
export class World {
  readonly clock: SimulatedClock;
  readonly timeline: Timeline;
  readonly tally = new Tally();
  readonly providers: Readonly<Record<string, FakeProvider>>;
  readonly #seed: number;
  readonly #latencyMs: readonly [least: number, most: number];

  constructor({ at, latencyMs, seed }: WorldOptions) {
    this.#seed = seed;
    this.#latencyMs = latencyMs;
    this.clock = new SimulatedClock(at);
    this.timeline = new Timeline(this.clock);
    this.providers = Object.fromEntries(
      Object.entries(ACCOUNTS).map(([name, { rules }]) => [name, new FakeProvider(rules)]),
    );
  }

  provider(model: string): FakeProvider {
    return this.providers[model.split('/')[0] ?? ''] as FakeProvider;
  }

  /** The same for the same attempt of a call, in every run. */
  dice(...of: (number | string)[]): Dice {
    return new Dice(this.#seed, ...of);
  }

  /** Calls a model. Resolves when the answer is there, or the refusal. */
  async place(call: Call, model: string, { attempt, wantedAt }: { attempt: number; wantedAt: number }): Promise<Reply> {
    await this.timeline.sleep(this.dice(call.id, 'latency', attempt).between(...this.#latencyMs));
    const reply = this.provider(model).arrive(call, this.timeline.now(), 'ours');
    if (reply.status === 429) this.tally.refused(model, reply);
    else {
      this.tally.accepted(call, model, this.timeline.now() - wantedAt);
      await this.timeline.sleep(call.takes);
    }
    return reply;
  }
}

/** Sees to one call until it is answered or given up. */
export type Client = (call: Call) => Promise<void>;
