import type { Child } from './child.ts';
import { startProcess } from './process.ts';

export interface Service {
  process: Child;
  url: string;
}

const READY_MS = 60_000;

/** Starts `npm run sidecar`'s program on a free port. */
export const startSidecar = (environment: Record<string, string>): Promise<Service> =>
  start('dist/sidecar/main.js', { PORT: '0', ...environment });

/** Starts `npm run worker`'s program on a free port. */
export const startWorker = (environment: Record<string, string>): Promise<Service> =>
  start('dist/billing-worker/main.js', { BILLING_PORT: '0', ...environment });

async function start(script: string, env: Record<string, string>): Promise<Service> {
  const process = await startProcess({ script, env });
  const listening = /"url":"(http:[^"]+)"/;
  return { process, url: listening.exec(await process.waitForLine(listening, READY_MS))?.[1] ?? '' };
}
