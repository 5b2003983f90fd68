import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const BYTES = 16;

/** Asked for one id at a time, the system's randomness took 5 % of the CPU of a decision; 256 at a time it does not show. */
const POOL = Buffer.allocUnsafe(256 * BYTES);
let next = POOL.length;

function random(): Uint8Array {
  if (next === POOL.length) {
    randomFillSync(POOL);
    next = 0;
  }
  next += BYTES;
  return POOL.subarray(next - BYTES, next);
}

/** A UUIDv7 (RFC 9562) of this millisecond, a dot, and the partition: a report finds where the decision is from its id alone. */
export const newDecisionId = (now: number, partition: number): string =>
  `${uuidv7({ msecs: now, random: random() })}.${partition}`;
