import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { input } from '../input.ts';
import { startRedis } from '../redis.ts';
import { LeftOut, type Question, type Running, type System } from '../system.ts';
import { headers, type SidecarOptions, single, startSidecar } from './sidecar.ts';

const STREAM = 'ocr:{p0}:usage';
const BATCH = 50;
const MILLION = 1_000_000;

/** With a Redis of its own, whose usage stream has an event for each decision that was granted. */
async function onRedis({
  env = {},
  ...options
}: Omit<SidecarOptions, 'env'> & { env?: Record<string, string> }): Promise<Running> {
  const redis = await startRedis(options.tools);
  const { program, ...sidecar } = await startSidecar({ ...options, env: { REDIS_URL: redis.url, ...env } });
  let trimmed = 0;
  return {
    ...sidecar,
    pids: { server: [program.pid], store: [redis.pid] },
    async books() {
      const events = Number(await redis.ask('XLEN', STREAM)) + trimmed;
      return { ...(await sidecar.books?.()), events };
    },
    // The billing worker's part: what is in the ledger is taken out of the stream.
    async tidy() {
      trimmed += Number(await redis.ask('XTRIM', STREAM, 'MAXLEN', '0'));
    },
    async stop() {
      await sidecar.stop();
      await redis.stop();
    },
  };
}

const batch: Question = {
  method: 'POST',
  path: '/v1/batch/data/openclaw/rate_limit/allow',
  headers,
  body: `{"inputs":{${Array.from({ length: BATCH }, (_, i) => `"${i}":${input(`{${i}}`)}`).join(',')}}}`,
  decisions: BATCH,
};

const unheard: Question = { ...single, body: `{"input":${input('{0}', '{new}')}}` };

export const ours: System = {
  name: 'ours',
  title: '**this project**, three limits and an event',
  start: (tools) => onRedis({ tools }),
};

export const oursInBatches: System = {
  name: 'ours-batch',
  connections: 8,
  title: `this project, ${BATCH} to a request`,
  start: (tools) => onRedis({ tools, question: batch }),
};

export const oursAlone: System = {
  name: 'ours-1',
  title: 'this project, one connection',
  connections: 1,
  start: (tools) => onRedis({ tools }),
};

export const oursUnheard: System = {
  name: 'ours-unheard',
  title: 'this project, no input twice',
  start: (tools) => onRedis({ tools, question: unheard }),
};

export const oursBudgets: System = {
  name: 'ours-budgets',
  title: 'this project, a bucket and two budgets that are settled later',
  start: (tools) => onRedis({ tools, config: 'config-budgets' }),
};

export const oursMillion: System = {
  name: 'ours-million',
  title: 'this project, 1,000,000 tenants, the n-th one time in n',
  callers: MILLION,
  order: 'zipf',
  start: (tools) => onRedis({ tools }),
};

export const oursMillionAlike: System = {
  name: 'ours-million-alike',
  title: 'this project, 1,000,000 tenants, any of them alike',
  callers: MILLION,
  order: 'uniform',
  start: (tools) => onRedis({ tools }),
};

export const oursWorkers: System = {
  name: 'ours-workers',
  title: 'this project, `WORKERS=2`',
  async start(tools) {
    const known = await readFile(join(tools.root, '.env.example'), 'utf8');
    if (!/^#WORKERS=/m.test(known)) throw new LeftOut('the sidecar has no WORKERS yet');
    return onRedis({ tools, env: { WORKERS: '2' } });
  },
};
