import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa } from '../test/helpers/bring.ts';
import { tempDir } from '../test/helpers/temp-dir.ts';
import { loadScript } from '../test/setup/scripts.ts';

const script = await loadScript('bring-opa.mjs');

let real: string;

beforeAll(async () => {
  real = await bringOpa();
}, BRING_TIMEOUT_MS);

async function program(name: string, text: string): Promise<string> {
  const path = join(await tempDir(), name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

/** What another version says of itself. */
const otherOpa = () => program('opa', "echo 'Version: 1.21.0'");

/** The shell's own folders, so that a script runs; without Go, which is elsewhere. */
async function bring(env: NodeJS.ProcessEnv, cacheDir?: string) {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const found = await script.bringOpa({ cacheDir: cacheDir ?? (await tempDir()), log, env } as never);
  return { found, lines };
}

test('takes the one that is set, if it is the pinned version', async () => {
  expect((await bring({ OPA_BIN: real })).found).toBe(real);
  const other = await otherOpa();
  await expect(bring({ OPA_BIN: other })).rejects.toThrow(
    `OPA_BIN: ${other}, which is version 1.21.0 instead of 1.22.0; set it to an opa 1.22.0, or unset it`,
  );
  await expect(bring({ OPA_BIN: '/nowhere/opa' })).rejects.toThrow('OPA_BIN: /nowhere/opa version: not found');
});

test('takes the one on PATH; passes over another version, and says so', async () => {
  const folder = await tempDir();
  await copyFile(real, join(folder, 'opa'));
  const other = await otherOpa();
  expect(await bring({ PATH: folder })).toEqual({ found: join(folder, 'opa'), lines: [] });
  const { found, lines } = await bring({ PATH: dirname(other) }, dirname(dirname(await cached())));
  expect(found).toMatch(/opa-1\.22\.0\/opa$/);
  expect(lines).toEqual([`opa: passing over ${other}, which is version 1.21.0 instead of 1.22.0`]);
});

/** A cache that holds the real one. */
async function cached(): Promise<string> {
  const cacheDir = await tempDir();
  const { found } = await bring({ PATH: `${await goThatCopies()}:/bin:/usr/bin` }, cacheDir);
  return found;
}

/** Stands in for the two minutes of compiling; each run leaves a line. Gives its folder. */
async function goThatCopies(): Promise<string> {
  const go = await program(
    'go',
    `echo "$@" >> "$(dirname "$0")/runs"; sleep 0.3; mkdir -p "$GOBIN"; cp ${real} "$GOBIN/opa"`,
  );
  return dirname(go);
}

test('is compiled once for all who ask at once, inside the module that pins its checksums', async () => {
  const [cacheDir, go] = [await tempDir(), await goThatCopies()];
  const env = { PATH: `${go}:/bin:/usr/bin` };
  const all = await Promise.all([1, 2, 3].map(() => bring(env, cacheDir)));
  const path = join(cacheDir, 'opa-1.22.0', 'opa');
  expect(all.map(({ found }) => found)).toEqual([path, path, path]);
  const runs = await readFile(join(go, 'runs'), 'utf8');
  expect(runs).toBe('install -mod=readonly -trimpath github.com/open-policy-agent/opa\n');
});

test('says what is missing and how to get it', async () => {
  await expect(bring({ PATH: '/nowhere' })).rejects.toThrow(
    /^opa 1\.22\.0 is not on this machine, .*OPA_BIN.*install Go 1\.26.*\ntried: go install .*: not found$/s,
  );
});
