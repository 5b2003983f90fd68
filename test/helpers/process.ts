import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, type ChildOptions } from './child.ts';

const projectRoot = fileURLToPath(new URL('../../', import.meta.url));

export interface ProcessOptions extends ChildOptions {
  /** A compiled file, relative to the project's folder: `dist/sidecar/main.js`. */
  script: string;
}

/** Starts one of the project's programs. It sees exactly the given variables, PATH and HOME, and is ended with the test. */
export async function startProcess({ script, args = [], cwd = projectRoot, ...rest }: ProcessOptions): Promise<Child> {
  return new Child(process.execPath, { ...rest, cwd, args: [resolve(projectRoot, script), ...args] });
}
