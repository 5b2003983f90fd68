import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Child } from '../test/helpers/child.ts';
import { packageRoot } from './package-root.ts';

/** A device that is always full, on Linux. */
const FULL = '/dev/full';

/** 40 MB of lines. */
const LINES = `
import { createLog } from './dist/runtime/log.js';
const log = createLog('info');
for (let line = 0; line < 40_000; line++) log.info({ line }, 'x'.repeat(1_000));
gc();
console.error(process.memoryUsage().heapUsed < 20_000_000 ? 'and small' : 'and large');
log.info('still here');
`;

test.runIf(existsSync(FULL))(
  'a log that cannot be written, as on a full disk, ends no process, and does not fill its memory',
  async () => {
    const command = `exec "$0" --expose-gc --input-type=module --eval "$1" > ${FULL}`;
    const child = new Child('/bin/sh', { args: ['-c', command, process.execPath, LINES], cwd: packageRoot });
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.output).toEqual(['and small']);
  },
);
