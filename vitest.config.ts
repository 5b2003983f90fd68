import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**', '.cache/**', '.data/**'],
    // Not what `npm run bench` compiles of it into the cache.
    benchmark: { include: ['bench/phases/*.bench.ts'] },
    globalSetup: 'test/setup/global-setup.ts',
    setupFiles: 'test/setup/each-file.ts',
    // A process for each file: worker threads and signals of a test concern that file alone.
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    watch: false,
  },
});
