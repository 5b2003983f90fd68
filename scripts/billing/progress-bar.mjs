import cliProgress from 'cli-progress';
import { toStderr } from '../lib/main.mjs';

const LINE_EVERY_MS = 5_000;

/**
 * How far a long work is: a bar on a terminal, else a line every five seconds, both on standard error.
 * @param {string} what
 * @param {number} total
 */
export function startProgress(what, total) {
  if (process.stderr.isTTY && total > 0) {
    const format = `${what} [{bar}] {value}/{total} | {eta_formatted} left`;
    const bar = new cliProgress.SingleBar({ format, stream: process.stderr }, cliProgress.Presets.shades_classic);
    bar.start(total, 0);
    return { step: () => bar.increment(), stop: () => bar.stop() };
  }
  let done = 0;
  let told = performance.now();
  const step = () => {
    done++;
    if (performance.now() - told < LINE_EVERY_MS) return;
    told = performance.now();
    toStderr(`${what}: ${done} of ${total}`);
  };
  return { step, stop: () => {} };
}
