import { ask, mustRefuseAfter } from '../ask.ts';
import { input, PATH } from '../input.ts';
import { Program } from '../program.ts';
import { startRedis } from '../redis.ts';
import { startServer } from '../server-program.ts';
import type { Running, System } from '../system.ts';
import type { Tools } from '../tools.ts';
import { granted, single, startSidecar } from './sidecar.ts';

const TOKEN = 'rest-token';
const ROOM = 1_000_000_000;
const LITTLE_ROOM = 3;

/** An Upstash-compatible server in front of a Redis, each a process of its own. */
async function startRest(tools: Tools) {
  const redis = await startRedis(tools);
  const script = '.cache/bench/bench/neighbours/servers/upstash-rest.js';
  const program = await Program.start(tools.node, {
    args: [`${tools.root}/${script}`],
    env: { REDIS_URL: redis.url, TOKEN },
    ready: /listening on http/,
  });
  const url = /http:\S+/.exec(program.readyLine)?.[0] ?? '';
  return {
    env: { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: TOKEN },
    redis,
    pids: [program.pid, redis.pid],
    requests: async () => Number(JSON.parse(await program.ask('?', /^\{/)).requests),
    async stop() {
      await program.stop();
      await redis.stop();
    },
  };
}

export const honoUpstashRatelimit: System = {
  name: 'hono-upstash-ratelimit',
  title: 'Hono + @upstash/ratelimit over REST, one limit',
  async start(tools): Promise<Running> {
    const rest = await startRest(tools);
    const start = (room: number) =>
      startServer('hono-upstash-ratelimit.mjs', { tools, env: { ...rest.env, CAPACITY: String(room) } });
    const { program, url } = await start(ROOM);
    return {
      url,
      granted,
      question: { method: 'POST', path: PATH, body: `{"input":${input()}}`, decisions: 1 },
      pids: { server: [program.pid], store: rest.pids },
      async prove() {
        const poor = await start(LITTLE_ROOM);
        const put = () => ask(poor.url + PATH, `{"input":${input('poor')}}`);
        await mustRefuseAfter(LITTLE_ROOM, put, granted).finally(() => poor.program.stop());
      },
      storeRequests: rest.requests,
      async stop() {
        await program.stop();
        await rest.stop();
      },
    };
  },
};

export const oursOnUpstash: System = {
  name: 'ours-upstash',
  title: 'this project over the same REST server, three limits and an event',
  async start(tools): Promise<Running> {
    const rest = await startRest(tools);
    const { program, ...sidecar } = await startSidecar({ tools, env: rest.env, question: single });
    return {
      ...sidecar,
      pids: { server: [program.pid], store: rest.pids },
      storeRequests: rest.requests,
      async stop() {
        await sidecar.stop();
        await rest.stop();
      },
    };
  },
};
