// One token bucket in Redis behind Hono, asked with one EVALSHA for each request: no policy, no event, no records.
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { createClient } from 'redis';
import { started } from './started.mjs';

const CAPACITY = Number(process.env.CAPACITY);
const SCRIPT = `#!lua
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local capacity = tonumber(ARGV[1])
local tokens = tonumber(bucket[1]) or capacity
local at = tonumber(bucket[2]) or ms
tokens = math.min(capacity, tokens + math.max(0, ms - at) * capacity / 86400000)
local granted = tokens >= 1
if granted then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', ms)
redis.call('PEXPIRE', KEYS[1], 86400000)
return { granted and 1 or 0, math.floor(tokens) }`;

const redis = createClient({ url: process.env.REDIS_URL });
await redis.connect();
const sha = await redis.scriptLoad(SCRIPT);

const app = new Hono();
app.post('/v1/data/openclaw/rate_limit/allow', async (c) => {
  const { input } = await c.req.json();
  const [granted] = await redis.evalSha(sha, { keys: [`bucket:${input.tenant_id}`], arguments: [String(CAPACITY)] });
  return c.json({ result: granted === 1 });
});
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, started);
