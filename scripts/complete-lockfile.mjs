// After a change of dependencies: adds to package-lock.json the packages for other systems that npm has left out
// because the registry in use does not carry them. Changes nothing in a lockfile that is complete.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { completeLockfile } from './lib/complete-lockfile.mjs';
import { projectRoot } from './lib/root.mjs';

const path = join(projectRoot, 'package-lock.json');
const { lockfile, added } = completeLockfile(JSON.parse(await readFile(path, 'utf8')));
if (added.length) await writeFile(path, `${JSON.stringify(lockfile, null, 2)}\n`);
console.log(added.length ? `added: ${added.join(', ')}` : 'package-lock.json is complete');
