import { shareOfCores } from '../cpu-share.ts';
import { input } from '../input.ts';
import { startRedis } from '../redis.ts';
import type { Question, Running, System } from '../system.ts';
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
  start: (tools) => onRedis({ tools, env: { WORKERS: '2' } }),
};

/**
 * So much of a core to each process. Where the load generator, Redis and one process fill the machine, a second process has nothing to run on, and
 * says nothing of what it would do on a core of its own.
 */
const SHARE = 0.3;

async function inShares(processes: number, options: Parameters<typeof onRedis>[0]): Promise<Running> {
  const running = await onRedis(options);
  try {
    const undo = await shareOfCores(running.pids.server, processes * SHARE);
    const stop = () => running.stop().then(undo);
    return { ...running, stop };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

export const oursShare: System = {
  name: 'ours-share',
  title: `this project, given ${SHARE} of a core`,
  start: (tools) => inShares(1, { tools }),
};

export const oursWorkersShare: System = {
  name: 'ours-workers-share',
  title: `this project, \`WORKERS=2\`, given ${SHARE} of a core each`,
  start: (tools) => inShares(2, { tools, env: { WORKERS: '2' } }),
};
