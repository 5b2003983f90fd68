import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { TestClock } from '../../test/helpers/clock.ts';
import { type PepReport, Peps } from './peps.ts';
import { pepRoutes } from './routes.ts';

const REPORT: PepReport = { id: 'a', name: 'rating-engine', gated: true, on_failure: 'deny' };
const UNGATED: PepReport = { ...REPORT, gated: false, why: 'no access' };

function open() {
  const lines: { level: number; pep?: unknown }[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const clock = new TestClock();
  return { clock, lines, peps: new Peps(clock, log) };
}

const post = (peps: Peps, body: unknown) =>
  pepRoutes({ maxBodyBytes: 10_000, peps }).request('/v1/peps', { method: 'POST', body: JSON.stringify(body) });

describe('policy enforcement points', () => {
  test('are listed for five minutes from their last word', () => {
    const { clock, peps } = open();
    peps.note(REPORT);
    clock.advance(4 * 60_000);
    peps.note({ ...REPORT, id: 'b' });
    clock.advance(60_000);
    expect(peps.list().map(({ id }) => id)).toEqual(['a', 'b']);
    clock.advance(1);
    expect(peps.list()).toEqual([{ ...REPORT, id: 'b', lastSeen: clock.now() - 60_001 }]);
  });

  test('are bounded by those that were heard of longest ago', () => {
    const { peps } = open();
    peps.note(REPORT);
    for (let i = 0; i < 300; i++) peps.note({ ...REPORT, id: `p${i}` });
    expect(peps.list()).toHaveLength(256);
    expect(peps.list().at(0)?.id).toBe('p44');
  });

  test('that do not ask are warned of once, and once more after they did', () => {
    const { lines, peps } = open();
    for (const report of [UNGATED, UNGATED, REPORT, UNGATED]) peps.note(report);
    expect(lines.map(({ level, pep }) => [level, pep])).toEqual([
      [40, { id: 'a', name: 'rating-engine', why: 'no access' }],
      [40, { id: 'a', name: 'rating-engine', why: 'no access' }],
    ]);
  });
});

describe('POST /v1/peps', () => {
  test('takes a report', async () => {
    const { peps } = open();
    expect((await post(peps, UNGATED)).status).toBe(204);
    expect(peps.list()).toMatchObject([UNGATED]);
  });

  test.each([{}, { ...REPORT, gated: 'yes' }, { ...REPORT, id: 'x'.repeat(201) }, { ...REPORT, more: 1 }, []])(
    'refuses %j',
    async (body) => {
      const { peps } = open();
      const response = await post(peps, body);
      expect(response.status).toBe(400);
      expect(peps.list()).toEqual([]);
    },
  );
});
