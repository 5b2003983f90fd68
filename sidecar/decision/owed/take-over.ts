import type { Log } from '../../../runtime/log.ts';
import { copyAside, moveAside } from './aside.ts';
import type { Home } from './home.ts';
import { type ReadLines, readLines } from './lines.ts';
import { Segment } from './segment.ts';

export interface TakenOver {
  segment: Segment;
  grants: NonNullable<ReadLines['grants']>;
  damaged: number;
}

/** Reads the files of processes that have ended. What cannot be read of them is put aside, and the rest is charged. */
export async function* takeOver(homes: Home[], root: string, log: Log): AsyncGenerator<TakenOver> {
  for (const home of homes) {
    for (const path of await home.files()) {
      const one = await readOne(home, path, { root, log });
      if (one) yield one;
    }
  }
}

async function readOne(
  home: Home,
  path: string,
  { log, root }: { root: string; log: Log },
): Promise<TakenOver | undefined> {
  const { damaged, grants, torn } = await readLines(path);
  if (!grants) {
    const aside = await moveAside(root, path);
    log.error(
      { path, aside },
      'a file of what was allowed begins as another one; put aside, and nothing of it is charged',
    );
    return undefined;
  }
  if (torn) log.warn({ path, torn }, 'the last line was not written to its end; nobody was told of it');
  if (damaged.length) {
    const aside = await copyAside(
      root,
      path,
      damaged.map(({ line }) => line),
    );
    const [{ offset, reason } = { offset: 0, reason: '' }] = damaged;
    log.error(
      { path, aside, lines: damaged.length, offset, reason },
      'lines of what was allowed are damaged; put aside, and not charged',
    );
  }
  return { segment: new Segment(home, path, false), grants, damaged: damaged.length };
}
