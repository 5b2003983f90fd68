import { Command } from 'commander';
import { addBench } from './bench.mjs';
import { addBuild } from './build.mjs';
import { addCheck } from './check.mjs';
import { addEval } from './eval.mjs';
import { addFmt } from './fmt.mjs';
import { addNew } from './new.mjs';
import { addReplay } from './replay.mjs';
import { addTest } from './test.mjs';

/** Each adds its command, in the order in which they are listed. */
const COMMANDS = [addNew, addTest, addFmt, addCheck, addEval, addReplay, addBench, addBuild];

/** A command that fails throws an error whose message says what, where, and what would be right. */
export function policyProgram() {
  const program = new Command('npm run policy --');
  program
    .description('Write, test, try and build policies. docs/policy-guide.md shows how.')
    .showHelpAfterError('(--help lists what there is)');
  for (const add of COMMANDS) add(program);
  return program;
}
