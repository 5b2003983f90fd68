import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. Not by `import.meta.dirname`: an older Node must get as far as the line that refuses it. */
export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What was brought once is kept here. */
export const cacheDir = `${projectRoot}/.cache`;
