import { inject } from 'vitest';

/** What the global set-up tells every test file. */
export interface TestRun {
  /** A folder of this run alone, removed at its end. */
  dir: string;
  /** Process id of vitest itself, the owner of what test files share. */
  mainPid: number;
  /** Where what was brought once is kept. */
  cacheDir: string;
  /** Whether a test whose real component cannot be brought is left out; in CI it fails instead. */
  leaveOut: boolean;
}

declare module 'vitest' {
  interface ProvidedContext {
    testRun: TestRun;
  }
}

export const testRun = (): TestRun => inject('testRun');
