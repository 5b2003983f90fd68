import { vi } from 'vitest';

/** Repeats a check until it no longer throws, and gives what it returns. Throws its last error when the time is over. */
export function eventually<T>(check: () => T | Promise<T>, { timeoutMs = 10_000, intervalMs = 25 } = {}): Promise<T> {
  return vi.waitFor(check, { timeout: timeoutMs, interval: intervalMs });
}
