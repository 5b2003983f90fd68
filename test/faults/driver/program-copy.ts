import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../../runtime/package-root.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

/** Read where they lie: compiled programs, Lua and SQL. The rest is the project's own. */
const COPIED = ['package.json', 'dist', 'sidecar/counters/redis/lua', 'schemas/migrations'];
const LINKED = ['node_modules', 'billing-worker', 'policies', 'config'];

/** One exact text that another takes the place of. */
export interface Change {
  file: string;
  from: string;
  to: string;
}

/**
 * The compiled programs in a folder of their own, with what they read: what is compiled anew meanwhile does not touch them.
 * Throws if a text to be changed is not there exactly once: a mutant that is none would show nothing.
 */
export async function copyProgram(changes: readonly Change[] = []): Promise<string> {
  const root = await tempDir('program');
  for (const path of COPIED) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await cp(join(packageRoot, path), join(root, path), { recursive: true });
  }
  for (const path of LINKED) await symlink(join(packageRoot, path), join(root, path));
  for (const [file, text] of await changedFiles(changes)) await writeFile(join(root, file), text);
  return root;
}

/** The texts of the files that are changed, by their paths. Throws as `copyProgram`. */
export async function changedFiles(changes: readonly Change[]): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const { file, from, to } of changes) {
    const text = texts.get(file) ?? (await readFile(join(packageRoot, file), 'utf8'));
    const times = text.split(from).length - 1;
    if (times !== 1) throw new Error(`${file} has ${times} times, and not once: ${from}`);
    texts.set(
      file,
      text.replace(from, () => to),
    );
  }
  return texts;
}

export const CLOCK_OFFSET_KEY = 'ocr:{p0}:clock-offset';

/** The store's clock, and how far a test has set it off. Its life of keys goes by the server's own. */
export const SETTABLE_CLOCK: Change = {
  file: 'sidecar/counters/redis/lua/includes/now.lua',
  from: 'return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)',
  to: `return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(redis.call('GET', '${CLOCK_OFFSET_KEY}') or '0')`,
};
