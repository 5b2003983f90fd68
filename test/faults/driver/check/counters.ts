import { BucketModel, type ModelCharge } from '../../../model/bucket-model.ts';
import { REVISIONS, type Rules, sizeOf } from '../policy.ts';
import { counterOf, type Row } from './evidence.ts';

type Change = Row['limits'][number];

/** One counter as it must have gone, event by event, in exact arithmetic. */
interface Course {
  /** In use when the last event was over. */
  used: bigint;
  bucket: BucketModel | undefined;
  charges: Map<string, ModelCharge>;
  period: number;
}

/**
 * I1 and I3: each event says what each of its counters was before and after it. A model that is charged with the same
 * events, in their order, must come to the same numbers, and no take may have gone beyond what there was room for.
 */
export class CounterCourses {
  readonly violations: string[] = [];
  readonly #courses = new Map<string, Course>();

  follow(rows: readonly Row[]): void {
    for (const row of rows) for (const change of row.limits) this.#follow(row, change);
  }

  /** What must be in use of each counter, as of its last event. */
  get used(): Map<string, bigint> {
    return new Map([...this.#courses].map(([counter, { used }]) => [counter, used]));
  }

  #follow(row: Row, change: Change): void {
    const counter = counterOf(row, change);
    const course = this.#courses.get(counter) ?? this.#begin(counter, row, change);
    const isTake = row.type === 'consumed' || row.type === 'reserved';
    const { after, before } = moveOf(course, row, change, isTake);
    const invariant = change.id === 'tenant:rate' ? 'I3' : 'I1';
    if (before !== BigInt(change.before) || after !== BigInt(change.after)) {
      const said = `${change.before} to ${change.after}`;
      this.violations.push(`${invariant}: ${row.id} moved ${counter} from ${said}, and it was ${before} to ${after}`);
      // From here on as it says itself: one gap is told once.
      course.bucket = undefined;
    }
    const room = capacityOf(row, change);
    if (isTake && BigInt(change.after) > room) {
      this.violations.push(`I3: ${row.id} took ${counter} to ${change.after}, and it holds ${room}`);
    }
    // What was not moved was not written: it is kept as of before, refilled as far as then.
    if (change.after !== change.before) course.used = BigInt(change.after);
  }

  #begin(counter: string, row: Row, change: Change): Course {
    const course = { used: 0n, bucket: bucketOf(row, change), charges: new Map(), period: 0 };
    this.#courses.set(counter, course);
    return course;
  }
}

const rulesOf = ({ policy_revision, tenant_id }: Row): Rules => {
  const rules = REVISIONS[policy_revision ?? '']?.[sizeOf(tenant_id)];
  if (!rules) throw new Error(`an event names the policy ${policy_revision}, which was never in force`);
  return rules;
};

function capacityOf(row: Row, { id }: Change): bigint {
  const { flight, month, rate, tokens } = rulesOf(row);
  const capacities: Record<string, number> = {
    'tenant:tokens': tokens,
    'tenant:rate': rate,
    'user:month': month,
    'tenant:flight': flight,
  };
  return BigInt(capacities[id] ?? 0);
}

function bucketOf(row: Row, { id }: Change): BucketModel | undefined {
  if (id === 'tenant:rate') return new BucketModel({ amount: rulesOf(row).rate, per_seconds: 1, mode: 'continuous' });
  if (id === 'tenant:tokens') return new BucketModel({ amount: 1, per_seconds: 31_536_000, mode: 'interval' });
  return undefined;
}

function moveOf(course: Course, row: Row, change: Change, isTake: boolean): { before: bigint; after: bigint } {
  if (change.kind === 'token_bucket') return moveBucket(course, row, change, isTake);
  const own = change.kind === 'concurrency' || course.period === change.period_start || row.type === 'settled';
  if (change.kind === 'window') course.period = change.period_start;
  const before = own ? course.used : 0n;
  return { before, after: before + BigInt(change.amount) };
}

function moveBucket(course: Course, row: Row, change: Change, isTake: boolean): { before: bigint; after: bigint } {
  if (!course.bucket) return { before: BigInt(change.before), after: BigInt(change.after) };
  const rate =
    change.id === 'tenant:rate'
      ? { amount: rulesOf(row).rate, per_seconds: 1, mode: 'continuous' as const }
      : undefined;
  const bucket = course.bucket.at(row.at, rate);
  const before = bucket.used;
  const charge = course.charges.get(row.decision_id);
  if (isTake) course.charges.set(row.decision_id, bucket.charge(change.amount, row.at));
  else if (charge) bucket.giveBack(charge, BigInt(-change.amount));
  // A report that moves nothing writes nothing: refill is counted from before it, by whatever rule holds then.
  if (isTake || bucket.used !== before) course.bucket = bucket;
  return { before, after: bucket.used };
}
