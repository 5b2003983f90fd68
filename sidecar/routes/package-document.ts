import type { Answer } from '../decision/answer.ts';
import type { Policy } from '../policy/policy.ts';

export interface PackageDocumentDeps {
  policy: Policy;
  /** The document of a plain entrypoint; undefined where it has none. */
  evaluate(entrypoint: string): Promise<unknown>;
  /** What a metered package would answer, without taking; undefined where the input is no request to it. */
  preview(pkg: string): Promise<Answer | undefined>;
}

type Tree = { [name: string]: unknown };

/** A policy may name anything, `__proto__` among it: these hold their own names and no others. */
const emptyTree = (): Tree => Object.create(null);

/**
 * The document of a path that is none of the policy's own: the documents below it, each in its place. Rules that are no
 * entrypoints were not compiled to be asked for, and are not in it. Nothing is taken, and no event is left.
 */
export async function packageDocument(
  path: readonly string[],
  below: string[],
  { evaluate, policy, preview }: PackageDocumentDeps,
): Promise<Tree> {
  const tree = emptyTree();
  const metered = [...policy.metered].filter((pkg) => below.includes(`${pkg}/plan`));
  const own = new Set(metered.flatMap((pkg) => [`${pkg}/plan`, `${pkg}/decision`, `${pkg}/allow`]));
  // All are asked in one turn, so that all are of one revision.
  await Promise.all([
    ...below.filter((name) => !own.has(name)).map(async (name) => place(tree, path, name, await evaluate(name))),
    ...metered.map(async (pkg) => {
      const answer = await preview(pkg);
      place(tree, path, `${pkg}/plan`, answer?.plan);
      place(tree, path, `${pkg}/decision`, answer?.decision);
      place(tree, path, `${pkg}/allow`, answer?.decision.allow);
    }),
  ]);
  return tree;
}

/** As in OPA, a package is an object, an empty one if all in it is undefined. */
function place(tree: Tree, path: readonly string[], name: string, value: unknown): void {
  const way = name.split('/').slice(path.length);
  const last = way.pop() as string;
  const parent = way.reduce<Tree>((at, step) => {
    at[step] ??= emptyTree();
    return at[step] as Tree;
  }, tree);
  if (value !== undefined) parent[last] = value;
}
