import { describe, expect, test } from 'vitest';
import { limit, type Workbench } from './workbench.ts';

const NAMES = [
  'a:b',
  'a%3Ab',
  'a%253Ab',
  'a',
  'b',
  '{x}',
  'x',
  '{p0}',
  '__proto__',
  'constructor',
  '@x',
  'two\nlines',
  'nul\u0000',
  '"quoted"',
  "it's",
  'back\\slash',
  '%',
  '*',
  ' ',
  '../..',
  'caf\u00e9',
  'cafe\u0301',
  '😀',
  'x'.repeat(10_000),
  `${'x'.repeat(9_999)}y`,
];

export function describeNames(bench: () => Workbench): void {
  describe('two names never share a counter', () => {
    test.each([
      ['tenant', (name: string) => ({ event: { tenant_id: name } })],
      ['subject type', (name: string) => ({ limit: { subject: { type: name, id: 'same' } } })],
      ['subject id', (name: string) => ({ limit: { subject: { type: 'same', id: name } } })],
      ['limit id', (name: string) => ({ limit: { id: name } })],
    ])(
      'whatever the %s is called',
      async (_, called: (name: string) => { event?: { tenant_id: string }; limit?: object }) => {
        for (const name of NAMES) {
          const { event = {}, limit: named = {} } = called(name);
          const wanted = limit({ ...named, capacity: 1 });
          expect(await bench().take(wanted, { event }), name.slice(0, 20)).toMatchObject({ kind: 'taken' });
          expect(await bench().take(wanted, { event }), name.slice(0, 20)).toMatchObject({ kind: 'refused' });
        }
      },
    );

    test('whatever the request id is called', async () => {
      const ids: string[] = [];
      const wide = limit({ capacity: 1_000 });
      for (const requestId of NAMES) ids.push((await bench().taken(wide, { requestId })).id);
      for (const [index, requestId] of NAMES.entries()) {
        expect(await bench().take(wide, { requestId })).toMatchObject({ kind: 'replayed', decisionId: ids[index] });
      }
    });

    test('also where the parts of one name read like another one’s', async () => {
      const parts = [
        ['a', 'b:c', 'd'],
        ['a:b', 'c', 'd'],
        ['a', 'b', 'c:d'],
        ['a%3Ab', 'c', 'd'],
      ] as const;
      for (const [type, id, name] of parts) {
        await bench().taken(limit({ id: name, subject: { type, id }, capacity: 1 }));
      }
    });

    test('and every name is in its event as it was given', async () => {
      for (const name of NAMES.filter((each) => !each.includes('\u0000'))) {
        const event = { tenant_id: name, user_id: name, model: name, request_id: name };
        await bench().taken(limit({ id: name, subject: { type: name, id: name } }), { event });
        expect(await bench().events(name)).toMatchObject([{ ...event, limits: [{ id: name }] }]);
      }
    });
  });
}
