import { run } from '../lib/run.mjs';
import { complaint } from './complaint.mjs';
import { absolute, OWN, shown, tools } from './place.mjs';

/** @param {import('commander').Command} program */
export function addFmt(program) {
  program
    .command('fmt')
    .description('format policies, and list what was changed')
    .argument('[folder]', 'a folder of your own, instead of policies/')
    .action(async (folder) => {
      const { cwd, opa } = await tools();
      const sources = shown(absolute(folder ?? OWN));
      // With --list, opa writes nothing.
      for (const what of ['--list', '--write']) {
        const outcome = await run(opa, ['fmt', what, sources], { cwd });
        const [problem] = complaint(outcome);
        if (problem) throw new Error(problem);
        process.stdout.write(outcome.stdout);
      }
    });
}
