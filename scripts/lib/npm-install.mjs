import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { mustRun } from './run.mjs';

/** OpenClaw and a Node for it took 40 s together. */
const NPM_MS = 8 * 60_000;

/**
 * Brings a package from npm into a folder of its own, where it is nobody's dependency.
 * @param {string} folder
 * @param {string} wanted as `npm install` takes it
 * @param {string} nodeFolder of the Node that npm and the package's own scripts run with
 */
export async function npmInstall(folder, wanted, nodeFolder) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  const path = [nodeFolder, process.env.PATH].join(delimiter);
  const env = { ...process.env, PATH: path, OPENCLAW_NO_AUTO_UPDATE: '1' };
  const args = ['install', '--no-audit', '--no-fund', '--loglevel=error', wanted];
  await mustRun('npm', args, { cwd: folder, env, timeoutMs: NPM_MS });
}
