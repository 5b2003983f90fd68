import { join } from 'node:path';
import { Program } from './program.ts';
import type { Tools } from './tools.ts';

/** Starts one of `servers/`, or another file that says `listening on <url>`. */
export async function startServer(
  file: string,
  { env = {}, tools }: { env?: Record<string, string>; tools: Tools },
): Promise<{ program: Program; url: string }> {
  const script = join(tools.root, 'bench', 'neighbours', 'servers', file);
  const ready = /listening on (http:\S+)/;
  const program = await Program.start(tools.node, { args: [script], env, ready });
  return { program, url: ready.exec(program.readyLine)?.[1] ?? '' };
}
