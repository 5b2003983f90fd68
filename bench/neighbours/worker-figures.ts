import { join } from 'node:path';
import { exec } from './exec.ts';
import { median } from './results.ts';
import type { Tools } from './tools.ts';

const ROUND = /^round \d+: ours [\d.]+ µs \(CPU: worker ([\d.]+) µs, server ([\d.]+) µs\)/gm;

/**
 * `worker`: rows a second of the billing worker to those of a bare COPY of the same rows, as `npm run bench:ingest` measures
 * it; `worker-us` and `postgres-us`: CPU for an event.
 */
export async function workerFigures({ node, root }: Tools): Promise<Record<string, number>> {
  const script = join(root, 'bench', 'ingest', 'run.mjs');
  const said = await exec(node, [script, '--rounds', '3'], 300_000);
  const ratio = Number(/ratio ([\d.]+) in the middle/.exec(said)?.[1]);
  const rounds = [...said.matchAll(ROUND)];
  if (!(ratio > 0) || rounds.length === 0) throw new Error(`bench:ingest said no figures:\n${said}`);
  const middle = (group: number) => median(rounds.map((round) => Number(round[group])));
  return { worker: ratio, 'worker-us': middle(1), 'postgres-us': middle(2) };
}
