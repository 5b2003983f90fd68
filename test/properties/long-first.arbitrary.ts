import fc from 'fast-check';

/**
 * Arrays of exactly so many elements. Shrinking leaves out parts of them, large ones first, and makes elements smaller when
 * none can be left out: `fc.array` never shrinks below its least length, and takes an element at a time.
 */
export const longFirst = <Element>(element: fc.Arbitrary<Element>, length: number): fc.Arbitrary<Element[]> =>
  new LongFirst(element, length);

/** What an array was made of, and how much to leave out at a time. */
interface Made<Element> {
  items: fc.Value<Element>[];
  chunk: number;
}

class LongFirst<Element> extends fc.Arbitrary<Element[]> {
  readonly #element: fc.Arbitrary<Element>;
  readonly #length: number;

  constructor(element: fc.Arbitrary<Element>, length: number) {
    super();
    this.#element = element;
    this.#length = length;
  }

  generate(random: fc.Random, bias: number | undefined): fc.Value<Element[]> {
    const items = Array.from({ length: this.#length }, () => this.#element.generate(random, bias));
    return arrayOf(items, Math.ceil(items.length / 2));
  }

  canShrinkWithoutContext(_value: unknown): _value is Element[] {
    return false;
  }

  shrink(_value: Element[], context: unknown): fc.Stream<fc.Value<Element[]>> {
    return fc.stream(this.#smaller(context as Made<Element>));
  }

  *#smaller({ chunk: first, items }: Made<Element>): Generator<fc.Value<Element[]>, void> {
    for (let chunk = Math.min(first, items.length); chunk >= 1; chunk = Math.floor(chunk / 2)) {
      for (let end = items.length; end > 0; end -= chunk) {
        yield arrayOf(items.toSpliced(Math.max(0, end - chunk), Math.min(chunk, end)), chunk);
      }
    }
    for (const [index, { context, value }] of items.entries()) {
      for (const item of this.#element.shrink(value, context)) yield arrayOf(items.with(index, item), 1);
    }
  }
}

function arrayOf<Element>(items: fc.Value<Element>[], chunk: number): fc.Value<Element[]> {
  return new fc.Value(
    items.map(({ value }) => value),
    { items, chunk } satisfies Made<Element>,
  );
}
