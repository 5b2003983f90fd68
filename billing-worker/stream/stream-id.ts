/** Ids of a Redis stream, `<milliseconds>-<sequence>`: two whole numbers of up to 64 bits. */

const parts = (id: string) => id.split('-').map(BigInt) as [bigint, bigint];

export function lowerId(a: string, b: string): string {
  const [aTime, aSequence] = parts(a);
  const [bTime, bSequence] = parts(b);
  return aTime < bTime || (aTime === bTime && aSequence <= bSequence) ? a : b;
}

/** The least id above this one. */
export function nextId(id: string): string {
  const [time, sequence] = parts(id);
  return `${time}-${sequence + 1n}`;
}
