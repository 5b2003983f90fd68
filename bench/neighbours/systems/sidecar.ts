import { cp, mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Answer, ask, mustRefuseAfter } from '../ask.ts';
import { input, PATH } from '../input.ts';
import { Program } from '../program.ts';
import type { Question, Running } from '../system.ts';
import type { Tools } from '../tools.ts';

export const granted = '"result":true';
const TOKEN = 'b7d9a4f06a2c4d0f9d3e8a51c6e2f704';
export const headers = { Authorization: `Bearer ${TOKEN}` };

/** Requests that `config/tenants.yaml` gives this one. */
const ROOM_OF_POOR = 3;

export const single: Question = { method: 'POST', path: PATH, headers, body: `{"input":${input()}}`, decisions: 1 };

export interface SidecarOptions {
  tools: Tools;
  /** The store, and what else is not as it is by default. */
  env: Record<string, string>;
  question?: Question;
  /** The program, below the project's folder. */
  script?: string;
  /** A folder beside `systems/` whose files take the place of the benchmark's configuration. */
  config?: string;
}

/**
 * The sidecar as it runs in production: the compiled program as a process of its own with Node's options as npm gives them, its shipped
 * policy, its usual log, a token that every request shows, and three limits for each.
 */
export async function startSidecar({
  config,
  env,
  question = single,
  script = 'dist/sidecar/main.js',
  tools,
}: SidecarOptions): Promise<Omit<Running, 'pids'> & { program: Program }> {
  const cwd = await mkdtemp(join(tools.folder, 'sidecar-'));
  const program = await Program.start(tools.node, {
    args: [
      ...(await nodeOptions(tools.root)),
      ...(tools.profiles ? ['--cpu-prof', `--cpu-prof-dir=${tools.profiles}`] : []),
      join(tools.root, script),
    ],
    cwd,
    env: {
      PORT: '0',
      BILLING_PORT: '0',
      OPA_TOKEN: TOKEN,
      CONFIG_DIR: await configFolder(cwd, tools.root, config),
      POLICY_BUNDLE: join(tools.root, 'policies', 'dist', 'bundle.tar.gz'),
      DATA_DIR: join(cwd, 'data'),
      ...env,
    },
    ready: LISTENING,
  });
  const url = LISTENING.exec(program.readyLine)?.[1] ?? '';
  return {
    program,
    url,
    question,
    granted,
    prove: () => mustRefuseAfter(ROOM_OF_POOR, () => ask(url + PATH, `{"input":${input('poor')}}`, headers), granted),
    books: async () => ({ metrics: grantedDecisions(await ask(`${url}/metrics`, undefined, headers)) }),
    said: () => program.said,
    stop: () => program.stop(),
  };
}

const LISTENING = /"url":"(http:[^"]+)","msg":"sidecar is listening"/;

/** Those of `npm run sidecar`, which are the image's too. */
async function nodeOptions(root: string): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  return scripts.sidecar.split(' ').filter((word: string) => word.startsWith('--'));
}

/** The example configuration, with what the benchmark says in place of it. */
async function configFolder(into: string, root: string, more = 'config'): Promise<string> {
  const folder = join(into, 'config');
  const benchmark = join(root, 'bench', 'neighbours');
  for (const from of [join(root, 'config'), join(benchmark, 'config'), join(benchmark, more)]) {
    await cp(from, folder, { recursive: true });
  }
  return folder;
}

function grantedDecisions({ status, text }: Answer): number {
  if (status !== 200) throw new Error(`/metrics answers ${status}`);
  const lines = text.matchAll(/^openclaw_decisions_total\{[^}]*allow="true"[^}]*\} (\d+)/gm);
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}
