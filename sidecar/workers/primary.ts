import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { AggregatorRegistry, type PrometheusContentType } from 'prom-client';
import { systemClock } from '../../runtime/clock.ts';
import { ConfigError } from '../../runtime/config/config-error.ts';
import type { Process } from '../../runtime/main.ts';
import { NUMBER, type ToPrimary, type ToWorker } from './messages.ts';

/** A worker that ends is replaced after this long, and longer each time that it does so again soon. */
const PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
/** One that was there for so long begins with the short pause again. */
const WELL_MS = 60_000;

/**
 * `WORKERS` sidecars in as many processes that share one port; this one only hands connections to them. Resolves when all are there.
 * The first is started alone: if it cannot start, neither could the others, and what is wrong is said once.
 */
export async function superviseWorkers({ closers, environment, log }: Process): Promise<void> {
  const workers = new Map<number, Worker>();
  const aggregator = new AggregatorRegistry();
  let stopping = false;
  /** Once the first is there: before, one that ends says that none can start. */
  let replacing = false;
  const start = async (number: number, failures: number): Promise<void> => {
    const worker = fork(number, aggregator);
    workers.set(number, worker);
    const began = systemClock.monotonic();
    worker.once('exit', (code, signal) => {
      workers.delete(number);
      if (stopping || !replacing) return;
      const soon = systemClock.monotonic() - began < WELL_MS ? failures : 0;
      const pauseMs = Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** soon);
      log.error({ worker: number, code, signal, pause_ms: pauseMs }, 'a worker has ended, and is started again');
      setTimeout(() => {
        if (!stopping) start(number, soon + 1).catch(() => {});
      }, pauseMs);
    });
    await listening(worker);
    log.info({ worker: number, pid: worker.process.pid }, 'worker is there');
  };
  closers.add('workers', () => {
    stopping = true;
    return stopAll([...workers.values()]);
  });
  await start(1, 0);
  replacing = true;
  await Promise.all(Array.from({ length: environment.WORKERS - 1 }, (_, index) => start(index + 2, 0)));
  log.info({ workers: environment.WORKERS }, 'all workers are there');
}

function fork(number: number, aggregator: Pick<AggregatorRegistry<PrometheusContentType>, 'clusterMetrics'>): Worker {
  cluster.setupPrimary({ args: [`${NUMBER}${number}`] });
  const worker = cluster.fork();
  worker.on('message', (message: ToPrimary) => {
    if (message?.ask !== 'metrics') return;
    const answer = (metrics: string | undefined) => tell(worker, { metrics, id: message.id });
    aggregator.clusterMetrics().then(answer, () => answer(undefined));
  });
  return worker;
}

/** Throws if it ends before. What was wrong it has said itself. */
async function listening(worker: Worker): Promise<void> {
  const ended = once(worker, 'exit').then(([code]) => {
    throw new ConfigError([`a worker ended with ${code} before it was there; what it says stands above`]);
  });
  ended.catch(() => {});
  await Promise.race([once(worker, 'listening'), ended]);
}

/** Each finishes what it is answering. */
async function stopAll(workers: Worker[]): Promise<void> {
  await Promise.all(
    workers.map(async (worker) => {
      if (worker.isDead()) return;
      const ended = once(worker, 'exit');
      tell(worker, { stop: true });
      await ended;
    }),
  );
}

function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
