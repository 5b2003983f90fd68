import { chmod, copyFile, mkdir, rename, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isMain, toStderr } from './lib/main.mjs';
import { cacheDir as projectCache } from './lib/root.mjs';
import { run } from './lib/run.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/** The specification's own Go module carries its JSON schema; the npm packages that do are copies from 2021. */
const MODULE = 'github.com/compose-spec/compose-go/v2';
const VERSION = 'v2.16.2';
const SUM = 'h1:pTp1DqQwJzFd85GzlWsSszKA1ABrV/ySqsClujIcWA8=';

/**
 * Brings the Compose specification's JSON schema, pinned by version and checksum.
 * @param {{ cacheDir: string, log: Log }} options
 * @returns {Promise<string>} path of the schema
 * @throws {Error} that says how to get it
 */
export async function bringComposeSchema({ cacheDir, log }) {
  const cached = resolve(cacheDir, `compose-spec-${VERSION}.json`);
  if (await stat(cached).catch(() => undefined)) return cached;
  log(`compose schema: go mod download ${MODULE}@${VERSION}`);
  const { ok, stdout, problem } = await run('go', ['mod', 'download', '-json', `${MODULE}@${VERSION}`]);
  if (!ok) {
    throw new Error(`the Compose specification's schema comes by Go: install Go 1.21 or later (${problem})`);
  }
  const { Dir, Sum } = JSON.parse(stdout);
  if (Sum !== SUM) throw new Error(`${MODULE}@${VERSION} has the checksum ${Sum} instead of ${SUM}`);
  await mkdir(cacheDir, { recursive: true });
  const arriving = `${cached}.${process.pid}`;
  await copyFile(join(Dir, 'schema', 'compose-spec.json'), arriving);
  await chmod(arriving, 0o644);
  await rename(arriving, cached);
  return cached;
}

if (isMain(import.meta.url)) console.log(await bringComposeSchema({ cacheDir: projectCache, log: toStderr }));
