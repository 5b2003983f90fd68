import { cp, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../runtime/package-root.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const dockerfile = join(packageRoot, 'deploy/Dockerfile');

/** The instructions of the Dockerfile's last stage, each on one line: those that make the image that runs. */
export async function lastStage(): Promise<string[]> {
  const text = (await readFile(dockerfile, 'utf8')).replaceAll('\\\n', ' ');
  const lines = text.split('\n').filter((line) => line && !line.startsWith('#'));
  return lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
}

/**
 * Lays out in a new folder what the image holds in /app, by the Dockerfile's own COPY instructions: the project's
 * folders, the compiled `dist/`, and of `node_modules` what `npm prune --omit=dev` leaves.
 */
export async function layOutImage(): Promise<string> {
  const app = await tempDir('image');
  for (const instruction of await lastStage()) {
    const [, built, from = '', to = ''] = /^COPY (?:(--from=build) )?(\S+) (\S+)$/.exec(instruction) ?? [];
    if (!from) continue;
    if (to === 'node_modules') await copyProductionModules(app);
    else await copy(built ? from.replace('/app/', '') : from, join(app, to));
  }
  return app;
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  const filter = (path: string) => !path.endsWith('.test.ts');
  await cp(join(packageRoot, from), to, { recursive: true, filter });
}

async function copyProductionModules(app: string): Promise<void> {
  const lock: { packages: Record<string, { dev?: boolean; optional?: boolean }> } = JSON.parse(
    await readFile(join(packageRoot, 'package-lock.json'), 'utf8'),
  );
  const wanted = Object.entries(lock.packages).filter(([path, { dev, optional }]) => path && !dev && !optional);
  for (const [path] of wanted) await copy(path, join(app, path));
}
