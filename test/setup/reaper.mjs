/**
 * Ends what tests have started once its owner is gone. Usage: node reaper.mjs <folder of the run> <pid of vitest>.
 * It lives as long as the run: when that is over (SIGTERM), or vitest was killed, it ends everything that is left,
 * whoever owns it, and removes the folder.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '../../scripts/lib/lock.mjs';

const POLL_MS = 250;
const [runDir = '', mainPid = ''] = process.argv.slice(2);
const processes = join(runDir, 'processes');
const over = new AbortController();

process.on('SIGTERM', () => over.abort());
// The terminal's Ctrl-C is for vitest; what has to end after it is for the reaper.
process.on('SIGINT', () => undefined);

while (!over.signal.aborted && isAlive(Number(mainPid))) {
  endOrphans((owner) => !isAlive(owner));
  await sleep(POLL_MS, undefined, { signal: over.signal }).catch(() => undefined);
}
endOrphans(() => true);
rmSync(runDir, { recursive: true, force: true });

/** @param {(owner: number) => boolean} isOrphaned */
function endOrphans(isOrphaned) {
  for (const name of existsSync(processes) ? readdirSync(processes) : []) {
    const [owner = 0, pid = 0] = name.split('-').map(Number);
    if (pid > 0 && isOrphaned(owner)) end(pid, join(processes, name));
  }
}

/**
 * @param {number} pid
 * @param {string} entry
 */
function end(pid, entry) {
  try {
    process.kill(pid, /** @type {NodeJS.Signals} */ (readFileSync(entry, 'utf8') || 'SIGKILL'));
  } catch {
    // It has ended by itself.
  }
  rmSync(entry, { force: true });
}
