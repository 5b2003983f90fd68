import { afterAll, beforeAll, vi } from 'vitest';
import { type ChildOf, childrenOf } from './children.ts';
import { endFile } from './file-end.ts';
import { rememberFile } from './leave-out.ts';

/** A test file does not outlive vitest. */
process.once('disconnect', () => process.exit(1));

// biome-ignore lint/correctness/noEmptyPattern: vitest insists on a pattern there
beforeAll(({}, file) => rememberFile(file));

/** Registered first, so they run last, the second before the first: a test file that leaves processes behind fails. */
afterAll(async () => {
  const left = await vi.waitFor(refuseChildren, { timeout: 1_000, interval: 50 }).catch((error) => error as LeftBehind);
  if (!left) return;
  for (const { pid } of left.children) process.kill(pid, 'SIGKILL');
  throw left;
});

afterAll(endFile);

class LeftBehind extends Error {
  readonly children: ChildOf[];

  constructor(children: ChildOf[]) {
    const list = children.map(({ pid, command }) => `${pid} ${command}`).join('; ');
    super(`this test file left processes behind, which have been killed: ${list}`);
    this.children = children;
  }
}

async function refuseChildren(): Promise<undefined> {
  const children = await childrenOf(process.pid);
  if (children.length) throw new LeftBehind(children);
}
