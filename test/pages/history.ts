import type { UsageEvent } from '../../schemas/usage-event.ts';
import { billed, usageEvent } from '../billing/events.ts';
import { randomOf } from '../helpers/generated-event.ts';

const DAY_MS = 86_400_000;

/** Who asked for what, and how much of it. */
const CAST = [
  {
    tenant_id: 'acme',
    user_id: 'alice',
    team_id: 'engineering',
    models: ['anthropic/claude-sonnet-4-5', 'anthropic/claude-haiku-4-5'],
    size: 9,
  },
  {
    tenant_id: 'acme',
    user_id: 'bob',
    team_id: 'data',
    models: ['anthropic/claude-haiku-4-5', 'bedrock/nova-lite'],
    size: 6,
  },
  { tenant_id: 'acme', user_id: 'carol', team_id: 'data', models: ['anthropic/claude-haiku-4-5'], size: 3 },
  { tenant_id: 'acme', user_id: 'erin', team_id: 'engineering', models: ['anthropic/claude-sonnet-4-5'], size: 2 },
  { tenant_id: 'globex', user_id: 'dave', models: ['anthropic/claude-sonnet-4-5', 'lab/unpriced'], size: 7 },
] as const;

const WEIGHTS: Record<string, number> = { 'anthropic/claude-sonnet-4-5': 105, 'anthropic/claude-haiku-4-5': 28 };

/** Days of ordinary work until yesterday, weekends quieter; the same for the same `now`. */
export function history(days: number, now: number): UsageEvent[] {
  const random = randomOf(7, 1);
  const today = now - (now % DAY_MS);
  return Array.from({ length: days }, (_, i) => today - (days - i) * DAY_MS).flatMap((day) =>
    CAST.flatMap(({ models, size, ...who }) => {
      const isWeekend = [0, 6].includes(new Date(day).getUTCDay());
      const count = Math.round(size * (0.5 + random()) * (isWeekend ? 0.3 : 1));
      return Array.from({ length: count }, (_, n) => {
        const at = day + 8 * 3_600_000 + n * 1_800_000 + Math.floor(random() * 60_000);
        const model = models[Math.floor(random() * models.length)] ?? models[0];
        return random() < 0.06 ? denied({ ...who, model }, at) : granted({ ...who, model }, at, random());
      });
    }),
  );
}

const granted = (who: Partial<UsageEvent> & { model: string }, at: number, share: number) =>
  usageEvent({
    ...who,
    candidate: who.model,
    at,
    decided_at: at,
    limits: [billed(WEIGHTS[who.model] ?? 2)],
    usage: { input: 800 + Math.floor(share * 4_000), output: 200 + Math.floor(share * 1_500) },
  });

const denied = (who: Partial<UsageEvent>, at: number) =>
  usageEvent({
    ...who,
    type: 'denied',
    at,
    decided_at: at,
    limits: [],
    outcome: { granted: false, reason: 'rate_limited' },
  });
