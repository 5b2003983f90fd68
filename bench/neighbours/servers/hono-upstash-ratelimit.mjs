// One limit of @upstash/ratelimit behind Hono. Its cache of refused callers and its analytics are off: everybody is granted,
// and counted.
import { serve } from '@hono/node-server';
import { Ratelimit } from '@upstash/ratelimit';
import { Redis } from '@upstash/redis';
import { Hono } from 'hono';
import { started } from './started.mjs';

const capacity = Number(process.env.CAPACITY);
const limiter = new Ratelimit({
  redis: new Redis({ url: process.env.UPSTASH_REDIS_REST_URL, token: process.env.UPSTASH_REDIS_REST_TOKEN }),
  limiter: Ratelimit.tokenBucket(capacity, '1 d', capacity),
  ephemeralCache: false,
  timeout: 10_000,
});

const app = new Hono();
app.post('/v1/data/openclaw/rate_limit/allow', async (c) => {
  const { input } = await c.req.json();
  const { success } = await limiter.limit(input.tenant_id);
  return c.json({ result: success });
});
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, started);
