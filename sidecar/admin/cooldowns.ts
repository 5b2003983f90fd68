import { Hono } from 'hono';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config/files.ts';
import type { CounterStore } from '../counters/contract.ts';
import type { HealthView } from '../providers/health-view.ts';
import { modelId } from '../providers/model-id.ts';
import { providerRules } from '../providers/provider-rules.ts';
import { Refusal } from '../routes/refusal.ts';
import { readBody, eventText as text } from './body.ts';

export interface CooldownsDeps {
  store: Pick<CounterStore, 'audit' | 'providerHealth' | 'providerOutcome'>;
  health: Pick<HealthView, 'learn'>;
  config: () => Config;
  clock: Clock;
}

const clearSchema = z.strictObject({
  account: text(128, 'must name an account of providers.yaml'),
  /** All models of the account if not given. */
  model: text(256, 'must name a model').optional(),
});

/** `POST /api/admin/cooldowns/clear` `{account, model?}`: what is known against the account's models is forgotten, at every sidecar. */
export function cooldownRoutes({ clock, config, health, store }: CooldownsDeps): Hono {
  const app = new Hono();
  app.post('/api/admin/cooldowns/clear', async (c) => {
    const { account, model } = await readBody(c, clearSchema);
    const { models: card, providers } = config();
    if (!Object.hasOwn(providers.accounts, account)) {
      const known = Object.keys(providers.accounts).join(', ') || 'none';
      throw new Refusal(
        404,
        'resource_not_found',
        `there is no account ${JSON.stringify(account)} in providers.yaml; there is ${known}`,
      );
    }
    const { models: known } = await store.providerHealth(account);
    const wanted = model === undefined ? [...known.keys()] : [modelId(model, card)].filter((id) => known.has(id));
    for (const id of wanted) {
      const outcome = { account, model: id, result: 'cleared' as const, decidedAt: 0, jitter: 0 };
      health.learn(account, id, await store.providerOutcome(outcome, providerRules(providers)));
      const audited = uuidv7({ msecs: clock.now() });
      await store.audit({ id: audited, action: 'cooldown.cleared', actor: 'admin', target: `${account} ${id}` });
    }
    return c.json({ account, cleared: wanted });
  });
  return app;
}
