import { isDeepStrictEqual } from 'node:util';

/** As JSON: a member that is undefined is not there. */
export function compare(asked: string, store: unknown, model: unknown): void {
  const [is, shouldBe] = [store, model].map((each) => (each === undefined ? null : JSON.parse(JSON.stringify(each))));
  if (isDeepStrictEqual(is, shouldBe)) return;
  throw new Error(`${asked}\nthe store says ${JSON.stringify(is)}\nthe model says ${JSON.stringify(shouldBe)}`);
}
