import { Gauge, type Registry } from 'prom-client';
import type { HealthView } from './health-view.ts';

const LABELS = ['account', 'model'];

/** Which models are left alone, and for how long still. There are as many series as models that have lately failed. */
export function observeProviders(registry: Registry, health: Pick<HealthView, 'all'>, now: () => number): void {
  const each = (
    see: (labels: { account: string; model: string }, left: { cooldown: number; circuit: number }) => void,
  ) => {
    for (const [account, models] of health.all) {
      for (const [model, { limited_until = 0, open_until = 0, opens }] of models) {
        const cooldown = Math.max(0, limited_until - now()) / 1_000;
        see({ account, model }, { cooldown, circuit: opens === undefined ? 0 : now() < open_until ? 2 : 1 });
      }
    }
  };
  new Gauge({
    name: 'openclaw_provider_cooldown_seconds',
    help: 'For how long a model still cools down after a rate limit of its provider; 0: it does not, and was limited lately.',
    labelNames: LABELS,
    registers: [registry],
    collect() {
      this.reset();
      each((labels, { cooldown }) => this.set(labels, cooldown));
    },
  });
  new Gauge({
    name: 'openclaw_provider_circuit_state',
    help: 'The circuit of a model that has failed lately: 0 closed, 1 half open, 2 open.',
    labelNames: LABELS,
    registers: [registry],
    collect() {
      this.reset();
      each((labels, { circuit }) => this.set(labels, circuit));
    },
  });
}
