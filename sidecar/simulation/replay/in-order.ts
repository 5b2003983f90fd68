/** What comes from several sources, each nearly in its order, as one, by time. Of each source one item is in memory. */
export async function* inOrder<Item extends { at: number }>(
  sources: readonly AsyncGenerator<Item>[],
): AsyncGenerator<Item> {
  const heads: { item: Item; source: AsyncGenerator<Item> }[] = [];
  const advance = async (source: AsyncGenerator<Item>) => {
    const { done, value } = await source.next();
    if (!done) heads.push({ item: value, source });
  };
  for (const source of sources) await advance(source);
  for (;;) {
    const [first] = heads;
    if (!first) return;
    const next = heads.reduce((earliest, head) => (head.item.at < earliest.item.at ? head : earliest), first);
    heads.splice(heads.indexOf(next), 1);
    yield next.item;
    await advance(next.source);
  }
}
