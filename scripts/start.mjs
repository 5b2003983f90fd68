// Installs and compiles what is missing, then runs a program of `dist/` in this process: `npm start` both services,
// `npm run sidecar` and `npm run worker` one of them.

import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { ensureDependencies } from './install.mjs';
import { toStderr } from './lib/main.mjs';

const root = resolve(import.meta.dirname, '..');

try {
  await ensureDependencies({ log: toStderr });
  await ensureBuilt();
} catch (error) {
  console.error(`cannot start:\n  ${error.message}`);
  process.exit(1);
}
await import(pathToFileURL(join(root, 'dist', process.argv[2] ?? 'runtime/start.js')));
