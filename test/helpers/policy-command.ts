import type { Child } from './child.ts';
import { startProcess } from './process.ts';

export interface Said {
  code: number | null;
  /** Results, and what went wrong or was done meanwhile. */
  stdout: string;
  output: string;
}

export interface PolicyCommandOptions {
  /** The pinned opa. */
  opa: string;
  /** Where it is called. */
  cwd: string;
  env?: Record<string, string>;
}

/** `npm run policy -- …`, to its end. */
export async function policyCommand(args: string[], options: PolicyCommandOptions): Promise<Said> {
  const child = await startPolicyCommand(args, options);
  const { code } = await child.exited;
  return { code, stdout: child.stdout.join('\n'), output: child.output.join('\n') };
}

export const startPolicyCommand = (args: string[], { cwd, env, opa }: PolicyCommandOptions): Promise<Child> =>
  startProcess({ script: 'scripts/policy.mjs', args, cwd, env: { OPA_BIN: opa, ...env } });
