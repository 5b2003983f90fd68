import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';

/** `decisions.jsonl`, `decisions.3.jsonl`, a console's `.log`, each also gzipped. */
const LOG_FILE = /\.(jsonl|log)(\.gz)?$/;

/** The log files among these paths, and in those that are folders. Throws an error that says what is missing. */
export async function logFiles(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (!found) throw new Error(`${path}: there is no such file or folder`);
    if (found.isFile()) files.push(path);
    else files.push(...(await readdir(path)).filter((name) => LOG_FILE.test(name)).map((name) => join(path, name)));
  }
  if (files.length) return files;
  throw new Error(
    `${paths.join(', ')}: no decision log in it (*.jsonl, *.log, also with .gz); DECISION_LOGS=file makes a sidecar write one`,
  );
}

/** The lines of a file, gzipped or not. */
export async function* linesOf(file: string): AsyncGenerator<string> {
  const bytes = createReadStream(file);
  const input = file.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes;
  bytes.on('error', (error) => input.destroy(error));
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim()) yield line;
  }
}
