import { Hono } from 'hono';
import type { Sql } from 'postgres';
import type { Registry } from 'prom-client';
import type { UsageStream } from '../../schemas/usage-stream.ts';

const TIMEOUT_MS = 2_000;

export interface HealthDeps {
  sql: Sql;
  stream: UsageStream;
  registry: Registry;
}

/** `/health`: 200 while database and stream both answer, 503 with what does not. `/metrics`: Prometheus. */
export function healthRoutes({ registry, sql, stream }: HealthDeps): Hono {
  const app = new Hono();
  app.get('/health', async (c) => {
    const [database, usageStream] = await Promise.all([answers(sql`select 1`), answers(stream.lag())]);
    const healthy = database === 'ok' && usageStream === 'ok';
    return c.json({ database, stream: usageStream }, healthy ? 200 : 503);
  });
  app.get('/health/live', (c) => c.json({}));
  app.get('/metrics', async (c) => c.body(await registry.metrics(), 200, { 'Content-Type': registry.contentType }));
  return app;
}

/** 'ok', or why not: without the message, which may name hosts and users. */
async function answers(question: PromiseLike<unknown>): Promise<'ok' | 'unavailable' | 'slow'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'slow'>((resolve) => {
    timer = setTimeout(() => resolve('slow'), TIMEOUT_MS);
  });
  const answer = Promise.resolve(question).then(
    () => 'ok' as const,
    () => 'unavailable' as const,
  );
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
