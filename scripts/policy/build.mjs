import { join } from 'node:path';
import { toStderr } from '../lib/main.mjs';
import { projectRoot } from '../lib/root.mjs';
import { buildBundle, buildPolicies } from '../policy-build.mjs';
import { inFolder } from './bundle-of.mjs';
import { absolute, shown, tools } from './place.mjs';

/** @param {import('commander').Command} program */
export function addBuild(program) {
  program
    .command('build')
    .description('compile policies into a bundle')
    .argument('[folder]', 'a folder of your own; without it everything of the project that is generated')
    .option('-o, --output <bundle.tar.gz>', 'where it goes (default: dist/bundle.tar.gz in the folder)')
    .action(async (folder, options) => {
      const { capabilities, opa } = await tools();
      if (folder === undefined) {
        if (options.output !== undefined) throw new Error('--output is for a folder: build policies -o bundle.tar.gz');
        return buildPolicies({ opa, root: projectRoot, log: toStderr });
      }
      const sources = absolute(folder);
      const output = options.output === undefined ? join(sources, 'dist', 'bundle.tar.gz') : absolute(options.output);
      const changed = await buildBundle({ opa, folder: sources, output, capabilities }).catch((error) => {
        throw new Error(inFolder(shown(sources), error.message));
      });
      console.log(`${shown(output)}${changed ? '' : ' (unchanged)'}`);
      return undefined;
    });
}
