import { describe, expect, test } from 'vitest';
import { budgetOf, Desk, policyOn } from './pipeline.ts';
import { type Starts, startsBetween } from './year-model.ts';

const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Africa/Cairo'];
const RESET_DAYS = [1, 15, 31];
const FROM = Date.parse('2026-01-01T12:00:00Z');
const TO = Date.parse('2027-01-02T12:00:00Z');
const DAY = 'user:dave:tokens:day';
const MONTH = 'user:dave:tokens:month';
const MINUTE = 60_000;

const file = (timezone: string, resetTime: string, resetDay: number) => `per_user_budgets:
  default_limits: { daily_tokens: 1000000, monthly_tokens: 1000000 }
  reset_schedule: { daily_reset_time: "${resetTime}", monthly_reset_day: ${resetDay}, timezone: ${timezone} }
`;

/** The last and the first millisecond around each start, and times well within: one of them an hour after. */
const instantsAround = ({ days, months }: Starts): number[] => {
  const all = [...days, ...Object.values(months).flat()].flatMap((start) => [
    start - 1,
    start,
    start + 60 * MINUTE,
    start + 9 * 60 * MINUTE,
  ]);
  return [...new Set([FROM, ...all])].filter((at) => at <= TO).sort((a, b) => a - b);
};

/** Asks for one token at each instant, and gives when each budget was found to have begun anew, and when it said that it would. */
async function walked(desk: Desk, instants: number[]) {
  const seen = { [DAY]: [] as number[], [MONTH]: [] as number[] };
  const said = { [DAY]: new Set<number>(), [MONTH]: new Set<number>() };
  let asked = 0;
  for (const at of instants) {
    desk.set(at);
    const answer = await desk.ask({ tenant_id: 'acme', user_id: 'dave', estimated_tokens: 1 });
    for (const id of [DAY, MONTH] as const) {
      const { before, reset_at } = budgetOf(answer, id);
      said[id].add(reset_at);
      if (before === 0 && asked > 0) seen[id].push(at);
    }
    asked++;
  }
  return { seen, said };
}

const dates = (instants: Iterable<number>) => [...instants].map((instant) => new Date(instant).toISOString());

describe.each(ZONES)('a year in %s', (timezone) => {
  test.each(['00:00', '02:30'])('resets at %s, each exactly once', { timeout: 120_000 }, async (resetTime) => {
    const starts = startsBetween({ timezone, resetTime, resetDays: RESET_DAYS }, FROM, TO);
    expect(starts.days.length).toBe(366);
    for (const resetDay of RESET_DAYS) {
      const months = starts.months[resetDay] ?? [];
      expect([12, 13]).toContain(months.length);
      const policy = await policyOn({ 'budgets.yaml': file(timezone, resetTime, resetDay) });
      const { said, seen } = await walked(new Desk(policy, '2026-01-01T12:00:00Z'), instantsAround(starts));
      expect(dates(seen[DAY])).toEqual(dates(starts.days));
      expect(dates(seen[MONTH])).toEqual(dates(months));
      // What was announced is what came; the last of each is beyond the year.
      expect(dates(said[DAY]).slice(0, -1)).toEqual(dates(starts.days));
      expect(dates(said[MONTH]).slice(0, -1)).toEqual(dates(months));
    }
  });
});

test('the model finds what is known of clocks that change', () => {
  const rule = { resetDays: [31], resetTime: '02:30' };
  const around = (timezone: string, resetTime: string, from: string, to: string) =>
    dates(startsBetween({ ...rule, timezone, resetTime }, Date.parse(from), Date.parse(to)).days);
  // Berlin skips 02:30 on March 29: the day begins when its clocks go from 02:00 to 03:00.
  expect(around('Europe/Berlin', '02:30', '2026-03-28T12:00:00Z', '2026-03-30T12:00:00Z')).toEqual([
    '2026-03-29T01:00:00.000Z',
    '2026-03-30T00:30:00.000Z',
  ]);
  // And shows it twice on October 25: the first counts.
  expect(around('Europe/Berlin', '02:30', '2026-10-24T12:00:00Z', '2026-10-26T12:00:00Z')).toEqual([
    '2026-10-25T00:30:00.000Z',
    '2026-10-26T01:30:00.000Z',
  ]);
  // Kathmandu is 5 h 45 min ahead, all year.
  expect(around('Asia/Kathmandu', '00:00', '2026-06-01T00:00:00Z', '2026-06-02T00:00:00Z')).toEqual([
    '2026-06-01T18:15:00.000Z',
  ]);
  // February 2026 has no 31st: its month begins on the 28th.
  const { months } = startsBetween(
    { resetTime: '00:00', resetDays: [31], timezone: 'UTC' },
    Date.parse('2026-02-01T00:00:00Z'),
    Date.parse('2026-04-01T00:00:00Z'),
  );
  expect(dates(months[31] ?? [])).toEqual(['2026-02-28T00:00:00.000Z', '2026-03-31T00:00:00.000Z']);
});
