import { kill } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Child } from '../../helpers/child.ts';
import { eventually } from '../../helpers/eventually.ts';

/** How a process stands: after a garbage collection, in bytes. */
export interface Standing {
  /** Names that every object of it has and should not have. */
  polluted: string[];
  /** And what of it is kept outside the heap. */
  heapUsed: number;
  rss: number;
  /** Sockets, timers and the like. */
  handles: number;
}

const FILE = fileURLToPath(new URL('./process-probe.mjs', import.meta.url));

/** The environment of a process that can be asked how it stands. */
export const PROBED = { NODE_OPTIONS: `--import=${pathToFileURL(FILE).href}` };

const LINE = /^\{"probe":/;

export async function standingOf(child: Child): Promise<Standing> {
  const said = () => child.stdout.filter((line) => LINE.test(line));
  const before = said().length;
  kill(child.pid, 'SIGUSR2');
  const line = await eventually(() => {
    const next = said()[before];
    if (next === undefined) throw new Error('the process does not say how it stands');
    return next;
  });
  return JSON.parse(line).probe as Standing;
}
