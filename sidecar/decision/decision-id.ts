import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const BYTES = 16;
const IDS = 256;

/** Asked for one id at a time, the system's randomness took 5 % of the CPU of a decision; 256 at a time it does not show. */
const pool = new Uint8Array(IDS * BYTES);
const parts = Array.from({ length: IDS }, (_, index) => pool.subarray(index * BYTES, (index + 1) * BYTES));
let next = IDS;

function random(): Uint8Array {
  if (next === IDS) {
    randomFillSync(pool);
    next = 0;
  }
  return parts[next++] as Uint8Array;
}

/** A UUIDv7 (RFC 9562) of this millisecond, a dot, and the partition: a report finds where the decision is from its id alone. */
export const newDecisionId = (now: number, partition: number): string =>
  `${uuidv7({ msecs: now, random: random() })}.${partition}`;

/** UUIDv7, a dot, and the partition. Nothing else is asked of the store. */
const DECISION_ID = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.(0|[1-9]\d{0,3})$/;

/** When the decision was made, in epoch milliseconds, as its id says; undefined if it is no decision's id. */
export function decisionTime(decisionId: string): number | undefined {
  const [, high, low] = DECISION_ID.exec(decisionId) ?? [];
  return high === undefined ? undefined : Number.parseInt(`${high}${low}`, 16);
}
