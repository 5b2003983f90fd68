import { Hono } from 'hono';
import type { Registry } from 'prom-client';
import type { CounterStore } from '../counters/contract.ts';

/** `/health` as OPA: 200 `{}` while requests can be decided, 500 with the reason where not. `/metrics`: Prometheus. */
export function healthRoutes({ registry, store }: { store: CounterStore; registry: Registry }): Hono {
  const app = new Hono();
  app.get('/health', async (c) => {
    try {
      await store.ping();
      return c.json({});
    } catch (error) {
      return c.json({ error: (error as Error).message }, 500);
    }
  });
  app.get('/health/live', (c) => c.json({}));
  app.get('/metrics', async (c) => c.body(await registry.metrics(), 200, { 'Content-Type': registry.contentType }));
  return app;
}
