import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { fullLength } from '../helpers/full-length.ts';
import { get } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { expectBilledOnce, type Rig, startRig, takes } from './rig.ts';

/** A device that is always full, on Linux. */
const FULL = '/dev/full';

/** What is logged goes there. */
async function startLoggingNowhere(script: string, url: string, env: Record<string, string>): Promise<Child> {
  const child = new Child('/bin/sh', {
    args: ['-c', `exec "$0" ${script} > ${FULL}`, process.execPath],
    cwd: packageRoot,
    env: { ...env, LOG_LEVEL: 'debug' },
  });
  const healthy = eventually(async () => expect((await get(`${url}/health`)).status).toBe(200), { timeoutMs: 30_000 });
  await child.whileRunning(healthy);
  return child;
}

test.runIf(fullLength && existsSync(FULL))(
  'a disk that has no room for the log: both services go on, and end in order',
  { timeout: 90_000 },
  async () => {
    const rig: Rig = await startRig();
    const port = String(await freePort());
    const env = { ...rig.environment, PORT: port, DATA_DIR: await tempDir('data') };
    const sidecar = await startLoggingNowhere('dist/sidecar/main.js', `http://127.0.0.1:${port}`, env);
    const billing = `http://127.0.0.1:${rig.environment.BILLING_PORT}`;
    const worker = await startLoggingNowhere('dist/billing-worker/main.js', billing, env);
    const allowed = await takes(`http://127.0.0.1:${port}`, 'order', 200);
    expect(allowed).toHaveLength(200);
    await expectBilledOnce(rig, allowed);
    expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
  },
);
