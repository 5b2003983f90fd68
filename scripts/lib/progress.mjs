/** @typedef {(line: string) => void} Log */

const EVERY_MS = 10_000;

/**
 * Says every ten seconds that something still runs, so that a long step is told from one that hangs.
 * @template T
 * @param {Log} log
 * @param {string} what
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
export async function reportWhile(log, what, work) {
  const began = performance.now();
  const timer = setInterval(() => log(`${what}: still at it after ${seconds(began)} s`), EVERY_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

/** @param {number} began a reading of `performance.now()` */
export function seconds(began) {
  return ((performance.now() - began) / 1000).toFixed(1);
}
