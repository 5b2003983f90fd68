import { findRegal } from '../bring-regal.mjs';
import { toStderr } from '../lib/main.mjs';
import { projectRoot } from '../lib/root.mjs';
import { checkPolicies } from '../policy-check.mjs';
import { compiles } from './bundle-of.mjs';
import { isClean, isFormatted, isStrict, isTested } from './folder-checks.mjs';
import { absolute, shown, tools } from './place.mjs';

const NO_REGAL =
  'Regal was not run, for there is none: put it on PATH or set REGAL_BIN (https://github.com/open-policy-agent/regal)';

/** @param {import('commander').Command} program */
export function addCheck(program) {
  program
    .command('check')
    .description('say whether policies are strict, formatted, tested on every line, and clean for Regal')
    .argument('[folder]', 'a folder of your own; without it everything of the project, and whether bundles are current')
    .action(async (folder) => {
      const regal = findRegal();
      const place = await tools();
      const problems = await (folder === undefined
        ? checkPolicies({ opa: place.opa, root: projectRoot, regal })
        : checkFolder({ ...place, sources: shown(absolute(folder)) }, regal));
      for (const problem of problems) toStderr(`policies: ${problem}`);
      if (!regal) toStderr(NO_REGAL);
      if (problems.length) throw new Error(`${problems.length} problems, listed above`);
      const current = folder === undefined ? '; capabilities and bundles are current' : '';
      console.log(`policies: strict, formatted, tested on every line${regal ? ', clean for Regal' : ''}${current}`);
    });
}

/**
 * @param {import('./folder-checks.mjs').Checked} checked
 * @param {string | undefined} regal
 */
async function checkFolder(checked, regal) {
  const problems = [await isStrict(checked), await isFormatted(checked), await isTested(checked)].flat();
  return [...problems, ...(await isClean(checked, regal)), ...(problems.length ? [] : await compiles(checked))];
}
