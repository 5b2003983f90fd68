import { rollupDrift } from '../../../helpers/rollup-drift.ts';
import type { ClosedMonth } from '../closed-month.ts';
import type { Journal } from '../journal.ts';
import type { Rig } from '../rig.ts';
import { checkClosedMonth } from './closed-month.ts';
import { CounterCourses } from './counters.ts';
import { ledgerOf, type Row, usedInRedis } from './evidence.ts';
import { checkLedger } from './ledger.ts';
import { checkReports } from './reports.ts';
import { checkRequests } from './requests.ts';

/**
 * The invariants I1 to I9, after the healing: nothing is on its way any more, so what was taken, what the ledger says and what
 * callers were told must be the same. Gives what is violated, each with the invariant's name in front.
 */
export async function check(rig: Rig, prefix: string, journal: Journal, month: ClosedMonth): Promise<string[]> {
  const rows = await ledgerOf(prefix, rig.sql, rig.shadow);
  const courses = new CounterCourses();
  courses.follow(rows.filter(({ tenant_id }) => tenant_id !== month.tenant));
  return [
    ...journal.violations,
    ...courses.violations,
    ...(await conserved(courses, rig)),
    ...checkLedger(rows, journal),
    ...(await rolledUp(rig)),
    ...(await putAside(rig, prefix, journal)),
    ...checkReports(rows, journal),
    ...(await checkClosedMonth(month, rows, journal, rig.sql)),
    ...isolated(rows, journal),
    ...[...rig.sidecars, ...rig.workers].flatMap(({ deaths }) => deaths.splice(0).map((death) => `I7: ${death}`)),
    ...rig.acknowledged.early.splice(0).map((entry) => `I8: ${entry} was acknowledged before it was committed`),
    ...checkRequests(rows, journal),
  ];
}

/** I1: what is in use is what the events say was taken and not given back. */
async function conserved(courses: CounterCourses, { control }: Rig): Promise<string[]> {
  const violations: string[] = [];
  for (const [counter, used] of courses.used) {
    const kept = await usedInRedis(counter, control);
    if (kept !== used) violations.push(`I1: of ${counter} ${kept} is in use, and its events come to ${used}`);
  }
  return violations;
}

async function rolledUp({ sql }: Rig): Promise<string[]> {
  const drift = await rollupDrift(sql);
  return drift.length ? [`I2: the rollups are not the sum of the ledger: ${JSON.stringify(drift[0])}`] : [];
}

/** What cannot be read is among the dead letters, and nothing else is. */
async function putAside({ sql }: Rig, prefix: string, { poisons }: Journal): Promise<string[]> {
  const letters = await sql`select raw, reason from dead_letters where raw like ${`%${prefix}-%`}`;
  const marks = poisons.map(({ mark }) => mark);
  const others = letters.filter(({ raw }) => !marks.some((mark) => raw.includes(mark)));
  const lost = poisons.filter(({ arrived, mark }) => arrived && !letters.some(({ raw }) => raw.includes(mark)));
  return [
    ...others.map(({ raw, reason }) => `I1: a usage event was put aside (${reason}): ${raw}`),
    ...lost.map(({ mark }) => `I1: ${mark} cannot be read, and was not put aside`),
  ];
}

/** I6: what was decided for one tenant is nowhere with another. */
function isolated(rows: readonly Row[], { grants }: Journal): string[] {
  return rows.flatMap(({ decision_id, id, tenant_id }) => {
    const grant = grants.get(decision_id);
    return grant && grant.tenant !== tenant_id ? [`I6: ${id} of ${grant.tenant} is with ${tenant_id}`] : [];
  });
}
