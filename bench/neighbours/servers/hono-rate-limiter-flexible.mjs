// One limit of rate-limiter-flexible on Redis behind Hono, as its documentation says.
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { createClient } from 'redis';
import { started } from './started.mjs';

const storeClient = createClient({ url: process.env.REDIS_URL });
await storeClient.connect();
const limiter = new RateLimiterRedis({
  storeClient,
  useRedisPackage: true,
  points: Number(process.env.CAPACITY),
  duration: 86_400,
});

const app = new Hono();
app.post('/v1/data/openclaw/rate_limit/allow', async (c) => {
  const { input } = await c.req.json();
  try {
    await limiter.consume(input.tenant_id);
    return c.json({ result: true });
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused;
    return c.json({ result: false });
  }
});
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, started);
