import { ask, mustRefuseAfter } from '../ask.ts';
import { input, PATH } from '../input.ts';
import { startRedis } from '../redis.ts';
import { startServer } from '../server-program.ts';
import type { Running, System } from '../system.ts';
import type { Tools } from '../tools.ts';

const granted = '"result":true';
const question = { method: 'POST', path: PATH, body: `{"input":${input()}}`, decisions: 1 } as const;

/** Enough for every caller of the load. */
const ROOM = 1_000_000_000;
/** What the one caller has that shows that the limit is one: a server with so little is started for a moment. */
const LITTLE_ROOM = 3;

const bare = (name: string, title: string): System => ({
  name,
  title,
  async start(tools) {
    const { program, url } = await startServer(`${name}.mjs`, { tools });
    return { url, granted, question, pids: { server: [program.pid], store: [] }, stop: () => program.stop() };
  },
});

const onRedis = (name: string, title: string, connections?: number): System => ({
  name: connections ? `${name}-${connections}` : name,
  title,
  ...(connections && { connections }),
  start: (tools) => startOnRedis(name, tools),
});

async function startOnRedis(name: string, tools: Tools): Promise<Running> {
  const redis = await startRedis(tools);
  const start = (room: number) =>
    startServer(`${name}.mjs`, { tools, env: { REDIS_URL: redis.url, CAPACITY: String(room) } });
  const { program, url } = await start(ROOM);
  return {
    url,
    granted,
    question,
    pids: { server: [program.pid], store: [redis.pid] },
    async prove() {
      const poor = await start(LITTLE_ROOM);
      const put = () => ask(poor.url + PATH, `{"input":${input('poor')}}`);
      await mustRefuseAfter(LITTLE_ROOM, put, granted).finally(() => poor.program.stop());
    },
    async stop() {
      await program.stop();
      await redis.stop();
    },
  };
}

export const nodeHttp = bare('node-http', 'Node `http`, parse and answer JSON');
export const hono = bare('hono', 'Hono on node-server, parse and answer JSON');
export const honoEvalsha = onRedis('hono-evalsha', 'Hono + one EVALSHA, one bucket');
export const honoEvalshaAlone = onRedis('hono-evalsha', 'Hono + one EVALSHA, one connection', 1);
export const honoRateLimiterFlexible = onRedis('hono-rate-limiter-flexible', 'Hono + rate-limiter-flexible, one limit');
