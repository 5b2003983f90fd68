import { type DayOptions, hour, hourOf, type Turn, turnsOf } from './day.ts';
import { openClawAlone } from './openclaw-alone.ts';
import { askAhead, openClawWithSidecar } from './openclaw-with-sidecar.ts';
import { startSimulatedSidecar } from './simulated-sidecar.ts';
import { type Client, World, type WorldOptions } from './world.ts';

export interface RunOptions extends DayOptions {
  /** Undefined: OpenClaw alone. */
  sidecar?: { keptBackPercent: number | undefined; passesHeaders: boolean };
  /** Percent of Anthropic's tokens a minute that somebody else uses. */
  othersPercent: number;
  latencyMs: WorldOptions['latencyMs'];
}

/** What is said of a day unless something else is. */
export const USUAL = { errorPercent: 30, latencyMs: [20, 400], othersPercent: 0 } as const;

/** One day, or some hours of it. */
export async function runDay(options: RunOptions): Promise<World> {
  const { from, latencyMs, seed, sidecar: wanted } = options;
  const world = new World({ at: hour(from), latencyMs, seed });
  const sidecar = wanted && (await startSimulatedSidecar({ clock: world.clock, ...wanted }));
  try {
    const client = sidecar && wanted ? openClawWithSidecar({ world, sidecar, ...wanted }) : openClawAlone(world);
    const turns = turnsOf(options);
    // No more than an hour: so many answers are remembered at once.
    for (let of = from; sidecar && of < options.to; of++) {
      const calls = turns.filter(({ at }) => hourOf(at) === of).flatMap((turn) => turn.calls);
      world.timeline.spawn(hour(of), () => askAhead(calls, sidecar));
    }
    for (const turn of turns) world.timeline.spawn(turn.at, () => take(turn, client, world));
    if (options.othersPercent > 0) world.timeline.spawn(hour(from), () => useOutside(options, world));
    await world.timeline.run();
  } finally {
    await sidecar?.close();
  }
  return world;
}

/** One call after the other: a user who gives up one of them goes on with the next question. */
async function take({ calls }: Turn, client: Client, { tally }: World): Promise<void> {
  for (const call of calls) {
    tally.wanted += 1;
    await client(call);
  }
}

/** Tokens of a prompt of somebody else's. */
const OTHERS = [3_000, 17_000] as const;

/** Somebody who draws on the same account, asks nobody, and does not try again. */
async function useOutside({ othersPercent, to }: RunOptions, world: World): Promise<void> {
  const account = world.provider('anthropic/');
  const perMinute = (account.rules.tokensPerMinute * othersPercent) / 100;
  const dice = world.dice('others');
  const mean = (60_000 * (OTHERS[0] + OTHERS[1])) / 2 / perMinute;
  for (;;) {
    await world.timeline.sleep(dice.gap(mean));
    if (world.timeline.now() >= hour(to)) return;
    const input = dice.whole(...OTHERS);
    account.arrive({ estimated: input, input }, world.timeline.now(), 'others');
  }
}
