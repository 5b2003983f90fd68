import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMs } from '../process-meter.ts';
import type { System } from '../system.ts';
import { startSidecar } from './sidecar.ts';

const embedded = (name: string, title: string, script: string, tidy?: (pid: number) => Promise<void>): System => ({
  name,
  title,
  async start(tools) {
    const { program, ...sidecar } = await startSidecar({ tools, env: { ROOT: tools.root }, script });
    return { ...sidecar, pids: { server: [program.pid], store: [] }, tidy: async () => tidy?.(program.pid) };
  },
});

export const oursEmbedded = embedded(
  'ours-embedded',
  'this project, embedded store',
  'bench/neighbours/servers/embedded-sidecar.mjs',
);

export const oursStarted = embedded(
  'ours-npm-start',
  'this project, `npm start`: embedded store, billing worker in the same process',
  'dist/runtime/start.js',
  untilQuiet,
);

const LOOK_MS = 1_000;
/** Of a core, in percent. */
const QUIET = 10;
const PATIENCE_LOOKS = 60;

/** Its billing worker still carries events into the ledger, which nobody else's round must suffer from. */
async function untilQuiet(pid: number): Promise<void> {
  for (let look = 0; look < PATIENCE_LOOKS; look++) {
    const before = await cpuMs([pid]);
    await sleep(LOOK_MS);
    if (((await cpuMs([pid])) - before) / LOOK_MS < QUIET / 100) return;
  }
}
