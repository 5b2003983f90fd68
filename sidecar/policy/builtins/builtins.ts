import { randomInt, randomUUID } from 'node:crypto';
import type { Clock } from '../../../runtime/clock.ts';
import { exact } from './exact.ts';
import { textBuiltins } from './text.ts';
import type { Builtins } from './types.ts';
import { unitBuiltins } from './units.ts';

export interface PolicyBuiltins {
  functions: Builtins;
  /** To be called before the first evaluation, with the names of what the policy calls. */
  prepare(needed: readonly string[]): Promise<void>;
  /** To be called before each evaluation: within one, time stands still, and the same call gives the same value. */
  begin(): void;
}

/** What policies can call beside what is compiled into them, and what the library brings. */
export function createBuiltins(clock: Clock): PolicyBuiltins {
  const functions: Builtins = { ...textBuiltins, ...unitBuiltins };
  const { begin, impure } = impureBuiltins(clock);
  Object.assign(functions, impure);
  return {
    functions,
    begin,
    async prepare(needed) {
      // Time zones take a quarter of a thread's start, and few policies look at them.
      if (needed.some((name) => name.startsWith('time.'))) {
        Object.assign(functions, (await import('./time.ts')).timeBuiltins);
      }
    },
  };
}

function impureBuiltins(clock: Clock): { impure: Builtins; begin: () => void } {
  const remembered = new Map<string, unknown>();
  const once = (key: string, make: () => unknown) => {
    if (!remembered.has(key)) remembered.set(key, make());
    return remembered.get(key);
  };
  const impure: Builtins = {
    'time.now_ns': () => once('now', () => exact(BigInt(Math.trunc(clock.now())) * 1_000_000n)),
    'uuid.rfc4122': (key: unknown) => once(`uuid ${JSON.stringify(key)}`, () => randomUUID()),
    'rand.intn': (key: string, below: number) => {
      const most = Math.abs(below);
      if (!Number.isSafeInteger(most) || most >= 2 ** 48) return undefined;
      return most === 0 ? 0 : once(`rand ${JSON.stringify([key, most])}`, () => randomInt(most));
    },
  };
  return { impure, begin: () => remembered.clear() };
}
