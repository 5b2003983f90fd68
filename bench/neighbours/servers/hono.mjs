// The floor of the stack that the sidecar stands on: Hono on node-server, parse the question, answer JSON.
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { started } from './started.mjs';

const app = new Hono();
app.post('/v1/data/openclaw/rate_limit/allow', async (c) => {
  const { input } = await c.req.json();
  return c.json({ result: typeof input.tenant_id === 'string' });
});
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, started);
