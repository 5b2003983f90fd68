import { Hono } from 'hono';
import type { Sql } from 'postgres';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DeadLetter } from '../../billing-worker/dead-letters/list.ts';
import { MOST_LETTERS, type ReplayReport, replayDeadLetters } from '../../billing-worker/dead-letters/replay.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { deadLetterRoutes } from '../../billing-worker/routes/dead-letters.ts';
import { SOME_DATABASES } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';
import { tenants } from './tenants.ts';

const NEWER = JSON.stringify({ ...usageEvent(), v: 2 });

describe.each(SOME_DATABASES)('dead letters on $name', ({ open }) => {
  let sql: Sql;
  let ledger: Ledger;
  let app: Hono;

  beforeAll(async () => {
    ({ sql } = await open());
    ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
    app = new Hono().route('/', deadLetterRoutes({ sql, ledger }));
  });

  beforeEach(() => sql`truncate usage_events, usage_rollups, dead_letters restart identity`);

  const get = async (query = '') => {
    const response = await app.request(`/v1/dead-letters${query}`);
    return { status: response.status, body: (await response.json()) as { data: DeadLetter[]; next: string | null } };
  };
  const post = async (body: unknown) => {
    const response = await app.request('/v1/dead-letters/replay', { method: 'POST', body: JSON.stringify(body) });
    return { status: response.status, body: (await response.json()) as ReplayReport };
  };

  /** A letter of a version whose reader knew less: today's reads it. */
  const readableNow = (...events: ReturnType<typeof usageEvent>[]) => sql`
    insert into dead_letters (stream, stream_id, raw, digest, reason)
    select 'ocr:{p0}:usage', n || '-0', raw, n, 'an older reader could not read it'
    from json_array_elements_text(${JSON.stringify(events.map((event) => JSON.stringify(event)))}::text::json)
      with ordinality as letter (raw, n)`;

  const sums = async () => {
    const [row] = await sql`
      select (select count(*)::int from usage_events) as events,
        (select coalesce(sum(tokens), 0)::int from usage_rollups) as tokens,
        (select count(*)::int from dead_letters where replayed_at is not null) as replayed,
        (select count(*)::int from dead_letters) as letters`;
    return row;
  };

  test('are listed page by page, by reason, and with their text for whoever asks for it', async () => {
    await ledger.append([streamEntry('{"v":1,'), streamEntry(NEWER), streamEntry(undefined), streamEntry('Grüße')]);
    const { body } = await get('?limit=2');
    expect(body).toEqual({
      data: [
        {
          id: '1',
          stream: 'ocr:{p0}:usage',
          stream_id: expect.stringMatching(/^1768478400000-\d+$/),
          reason: 'field "e" is not JSON',
          at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          replayed_at: null,
          size: 7,
        },
        expect.objectContaining({
          id: '2',
          reason: expect.stringMatching(/version 2/),
          size: Buffer.byteLength(NEWER),
        }),
      ],
      next: '2',
    });
    const second = await get('?limit=2&after=2&raw=true');
    expect(second.body.data.map((letter) => [letter.id, letter.raw, letter.size])).toEqual([
      ['3', null, 0],
      ['4', 'Grüße', 7],
    ]);
    expect(second.body.next).toBeNull();
    expect((await get('?reason=JSON')).body.data.map(({ id }) => id)).toEqual(['1', '4']);
    expect((await get(`?reason=${encodeURIComponent('%')}`)).body.data).toEqual([]);
  });

  test('what can be read today is in the ledger, once, and marked; the rest keeps its reason of today', async () => {
    const [known, fresh] = [usageEvent({ limits: [billed(7)] }), usageEvent({ limits: [billed(5)] })];
    await ledger.append([streamEntry(known)]);
    await readableNow(known, fresh);
    await ledger.append([streamEntry(NEWER)]);
    await sql`update dead_letters set reason = 'of an older reader' where id > 2`;
    const before = await sums();
    const dry = await post({ all: true, dry_run: true });
    expect(dry.body).toMatchObject({
      dry_run: true,
      replayed: ['1', '2'],
      refused: [{ reason: /version 2/ }],
    } as object);
    expect(await sums()).toEqual(before);
    const { body } = await post({ all: true });
    const refused = [
      { id: expect.any(String), reason: 'version 2 is newer than 1, the newest that this worker reads' },
    ];
    expect(body).toEqual({
      dry_run: false,
      replayed: ['1', '2'],
      refused,
      replayed_before: [],
      unknown: [],
      next: null,
    });
    expect(await sums()).toEqual({ events: 2, tokens: 12, replayed: 2, letters: 3 });
    expect((await get()).body.data[2]).toMatchObject({ reason: refused[0]?.reason, replayed_at: null });
    expect((await post({ all: true })).body).toMatchObject({ replayed: [], refused: [{}] });
    expect(await sums()).toEqual({ events: 2, tokens: 12, replayed: 2, letters: 3 });
  });

  test('those that are named, and no others; each is told what became of it', async () => {
    await readableNow(usageEvent(), usageEvent(), usageEvent());
    expect((await post({ ids: ['2'] })).body.replayed).toEqual(['2']);
    const { body } = await post({ ids: ['3', '2', '999'] });
    expect(body).toMatchObject({ replayed: ['3'], replayed_before: ['2'], unknown: ['999'] });
    expect(await sums()).toEqual({ events: 2, tokens: 2, replayed: 2, letters: 3 });
  });

  test('what only PostgreSQL refuses is refused alone, with its reason', async () => {
    const limits = Array(1_025).fill(billed(Number.MAX_SAFE_INTEGER));
    await readableNow(usageEvent(), usageEvent({ limits }), usageEvent());
    const { body } = await post({ all: true });
    expect(body).toMatchObject({
      replayed: ['1', '3'],
      refused: [{ id: '2', reason: expect.stringMatching(/out of range/) }],
    });
    expect(await sums()).toEqual({ events: 2, tokens: 2, replayed: 2, letters: 3 });
  });

  test('four at once, and the stream beside them, change no sum', async () => {
    const events = Array.from({ length: 300 }, () => usageEvent({ limits: [billed(3)] }));
    await readableNow(...events);
    await Promise.all([
      ...[1, 2, 3, 4].map(() => post({ all: true })),
      ledger.append(events.slice(100, 200).reverse().map(streamEntry)),
    ]);
    expect(await sums()).toEqual({ events: 300, tokens: 900, replayed: 300, letters: 300 });
  });

  test('one that dies before it has marked them is made up for by the next', async () => {
    await readableNow(usageEvent(), usageEvent());
    const dying = {
      replay: async (...of: Parameters<Ledger['replay']>) => {
        await ledger.replay(...of);
        throw new Error('killed');
      },
    };
    await expect(replayDeadLetters({ dryRun: false }, { sql, ledger: dying })).rejects.toThrow('killed');
    expect(await sums()).toEqual({ events: 2, tokens: 2, replayed: 0, letters: 2 });
    await post({ all: true });
    expect(await sums()).toEqual({ events: 2, tokens: 2, replayed: 2, letters: 2 });
  });

  test('more than one call takes are gone through call by call', async () => {
    await readableNow(...Array.from({ length: MOST_LETTERS + 5 }, () => usageEvent()));
    await sql`update dead_letters set raw = 'x' where id <= 3`;
    const first = (await post({ all: true })).body;
    expect([first.replayed.length, first.refused.length, first.next]).toEqual([
      MOST_LETTERS - 3,
      3,
      String(MOST_LETTERS),
    ]);
    const second = (await post({ all: true, after: first.next })).body;
    expect([second.replayed.length, second.refused.length, second.next]).toEqual([5, 0, null]);
  });

  test.each([
    [undefined],
    [[]],
    [{}],
    [{ ids: [] }],
    [{ ids: ['x'] }],
    [{ ids: ['0'] }],
    [{ ids: [1] }],
    [{ all: false }],
    [{ ids: ['1'], all: true }],
    [{ ids: ['1'], after: '1' }],
    [{ all: true, dry: true }],
    [{ ids: Array(MOST_LETTERS + 1).fill('1') }],
  ])('the body %j is refused with what would be right', async (body) => {
    expect(await post(body)).toMatchObject({ status: 400, body: { message: expect.stringMatching(/"ids", a list/) } });
  });

  test.each(['?limit=0', '?limit=1001', '?after=x', '?reason=', '?raw=1', '?nonsense=1', '?limit=1&limit=2'])(
    '%s is refused with what would be right',
    async (query) => {
      expect((await get(query)).status).toBe(400);
    },
  );
});
