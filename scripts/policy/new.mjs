import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toStderr } from '../lib/main.mjs';
import { projectRoot } from '../lib/root.mjs';
import { packagePath } from './package-path.mjs';
import { absolute, OWN, shown } from './place.mjs';

const TEMPLATE = join(projectRoot, 'scripts', 'policy', 'template');

/** @param {import('commander').Command} program */
export function addNew(program) {
  program
    .command('new')
    .description('begin a metered package, with its test')
    .argument('<package>', 'its path, such as acme/budget')
    .option('-f, --folder <dir>', 'a folder of your own, instead of policies/; gets a copy of lib/')
    .action(async (name, options) => {
      const folder = options.folder === undefined ? OWN : absolute(options.folder);
      const files = await scaffold(name, folder);
      for (const file of files) console.log(shown(file));
      toStderr('next: npm run policy test; docs/policy-guide.md goes on from here');
    });
}

/**
 * @param {string} name of the package, as a path or as Rego writes it
 * @param {string} folder the root of the packages
 * @returns {Promise<string[]>} what was written
 * @throws {Error} for a name that cannot be one, and one that is taken
 */
async function scaffold(name, folder) {
  const segments = packagePath(name);
  const own = join(folder, ...segments);
  if (existsSync(own)) throw new Error(`${shown(own)} exists already; choose another name, or edit what is there`);
  const last = segments.at(-1) ?? '';
  const files = { 'policy.rego': join(own, `${last}.rego`), 'policy_test.rego': join(own, `${last}_test.rego`) };
  await mkdir(own, { recursive: true });
  for (const [template, file] of Object.entries(files)) {
    const text = await readFile(join(TEMPLATE, template), 'utf8');
    await writeFile(file, text.replaceAll('PACKAGE', segments.join('.')), { flag: 'wx' });
  }
  const lib = join(folder, 'lib');
  if (existsSync(lib)) return Object.values(files);
  await cp(join(OWN, 'lib'), lib, { recursive: true });
  return [...Object.values(files), lib];
}
