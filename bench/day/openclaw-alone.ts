import { type Call, FALLBACK } from './day.ts';
import { type Client, PATIENCE_MS, pauseMs, type World } from './world.ts';

/** Per model and turn, the first one among them. */
const ATTEMPTS = 10;
/** A provider that asks for a longer wait is left for the next model. */
const LONGEST_WAIT_S = 60;
/** Of the whole provider, after as many failures in a row. */
const COOLDOWNS_MS = [30_000, 60_000, 300_000];

interface Begun {
  attempt: number;
  wantedAt: number;
}

interface Cooldown {
  failures: number;
  until: number;
}

/**
 * OpenClaw without a sidecar, as its documentation describes it ("Retry policy", "Model failover"): it tries again, at least
 * after what the provider asks for; then the provider cools down, as it did before cooldowns of one model, and the next model is asked. Who finds all of them cooling
 * down asks again when the first is back.
 */
export function openClawAlone(world: World): Client {
  const { tally, timeline } = world;
  const cooldowns = new Map<string, Cooldown>();
  const cooldownOf = (model: string) => cooldowns.get(model.split('/')[0] ?? '') ?? { failures: 0, until: 0 };
  const cool = (model: string, cooldown: Cooldown) => cooldowns.set(model.split('/')[0] ?? '', cooldown);

  const isAnswered = async (call: Call, model: string, begun: Begun) => {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      if (timeline.now() - begun.wantedAt >= PATIENCE_MS) return false;
      begun.attempt += 1;
      const reply = await world.place(call, model, begun);
      if (reply.status === 200) {
        cool(model, { failures: 0, until: 0 });
        return true;
      }
      if (reply.retryAfter > LONGEST_WAIT_S || attempt === ATTEMPTS) break;
      const longer = world.dice(call.id, 'jitter', begun.attempt).between(1, 1.1);
      await timeline.sleep(Math.max(pauseMs(attempt), reply.retryAfter * 1_000) * longer);
    }
    const failures = cooldownOf(model).failures + 1;
    const forMs = COOLDOWNS_MS[Math.min(failures, COOLDOWNS_MS.length) - 1] ?? 0;
    cool(model, { failures, until: timeline.now() + forMs });
    return false;
  };

  return async (call) => {
    const begun = { attempt: 0, wantedAt: timeline.now() };
    const models = [call.model, FALLBACK[call.model] ?? call.model];
    while (timeline.now() - begun.wantedAt < PATIENCE_MS) {
      for (const model of models) {
        if (cooldownOf(model).until > timeline.now()) continue;
        if (await isAnswered(call, model, begun)) return;
      }
      const back = Math.min(...models.map((model) => cooldownOf(model).until));
      await timeline.sleep(Math.max(1_000, back - timeline.now()));
    }
    tally.gaveUp += 1;
  };
}
