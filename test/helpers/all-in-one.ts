import type { Child } from './child.ts';
import { startProcess } from './process.ts';

export interface AllInOne {
  process: Child;
  sidecar: string;
  billing: string;
  adminToken: string;
}

const READY_MS = 60_000;

/** Starts what `npm start` starts, on free ports, and reads its addresses and admin token from what it prints. */
export async function startAllInOne(environment: Record<string, string>): Promise<AllInOne> {
  const process = await startProcess({
    script: 'dist/runtime/start.js',
    env: { PORT: '0', BILLING_PORT: '0', ...environment },
  });
  const said = async (pattern: RegExp) => pattern.exec(await process.waitForLine(pattern, READY_MS))?.[1] ?? '';
  return {
    process,
    sidecar: await said(/sidecar +(http:\S+)/),
    billing: await said(/billing worker +(http:\S+)/),
    adminToken: await said(/'Authorization: Bearer ([^']+)'/),
  };
}
