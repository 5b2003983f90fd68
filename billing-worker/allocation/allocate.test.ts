import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Allocated, allocate } from './allocate.ts';
import type { TeamUsage } from './team-usage.ts';

const weight = fc.oneof(
  fc.bigInt({ min: 0n, max: 3n }),
  fc.bigInt({ min: 0n, max: 10n ** 6n }),
  fc.bigInt({ min: 0n, max: 10n ** 40n }),
);
const who = fc.record({
  tenant_id: fc.constantFrom(null, 'acme', 'globex'),
  team_id: fc.oneof(fc.string({ maxLength: 3 }), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 2 })),
});
const nobody = fc.constant({ tenant_id: null, team_id: null });
const usage: fc.Arbitrary<TeamUsage[]> = fc
  .uniqueArray(fc.tuple(fc.oneof({ weight: 9, arbitrary: who }, nobody), weight), {
    selector: ([{ team_id, tenant_id }]) => JSON.stringify([tenant_id, team_id]),
    minLength: 1,
    maxLength: 30,
  })
  .map((rows) => rows.map(([ids, each]) => ({ ...ids, used: String(each), weight: each })))
  .filter((rows) => rows.some((row) => row.weight > 0n));
const invoice = fc.oneof(fc.bigInt({ min: 0n, max: 100n }), fc.bigInt({ min: 0n, max: 10n ** 17n }));

const centsOf = ({ amount_usd }: Allocated) => {
  expect(amount_usd).toMatch(/^\d+\.\d\d$/);
  return BigInt(amount_usd.replace('.', ''));
};
const sum = (amounts: bigint[]) => amounts.reduce((all, each) => all + each, 0n);
const nameOf = ({ team_id, tenant_id }: TeamUsage | Allocated) => JSON.stringify([tenant_id, team_id]);

describe('an invoice that is allocated', () => {
  test('sums up to the cent, and no row is off by a cent from its exact part', () => {
    fc.assert(
      fc.property(invoice, usage, (cents, rows) => {
        const allocated = allocate(cents, rows);
        expect(allocated.map(nameOf).sort()).toEqual(rows.map(nameOf).sort());
        expect(sum(allocated.map(centsOf))).toBe(cents);
        const total = sum(rows.map((row) => row.weight));
        const weights = new Map(rows.map((row) => [nameOf(row), row.weight]));
        for (const row of allocated) {
          const exact = cents * (weights.get(nameOf(row)) as bigint);
          const off = centsOf(row) * total - exact;
          expect(-total < off && off < total).toBe(true);
          if (exact % total === 0n) expect(off).toBe(0n);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('is the same in whatever order the usage comes', () => {
    const shuffles = usage.chain((rows) =>
      fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length })),
    );
    fc.assert(
      fc.property(invoice, shuffles, (cents, [rows, shuffled]) => {
        expect(allocate(cents, shuffled)).toEqual(allocate(cents, rows));
      }),
    );
  });

  test('who has used more never gets less', () => {
    fc.assert(
      fc.property(invoice, usage, (cents, rows) => {
        const amounts = new Map(allocate(cents, rows).map((row) => [nameOf(row), centsOf(row)]));
        const ascending = [...rows].sort((a, b) => (a.weight < b.weight ? -1 : Number(a.weight > b.weight)));
        ascending.reduce((less, more) => {
          const [least, most] = [less, more].map((row) => amounts.get(nameOf(row)) as bigint);
          if (less.weight < more.weight) expect((least as bigint) <= (most as bigint)).toBe(true);
          return more;
        });
      }),
    );
  });
});

const team = (team_id: string | null, used: bigint, tenant_id: string | null = team_id && 'acme'): TeamUsage => ({
  tenant_id,
  team_id,
  used: String(used),
  weight: used,
});
const amounts = (cents: bigint, rows: TeamUsage[]) =>
  allocate(cents, rows).map(({ amount_usd, share, team_id }) => [team_id, share, amount_usd]);

test('cents that are left go to the largest remainders, of equal ones to the first by name, to nobody in particular last', () => {
  expect(amounts(100n, [team(null, 1n), team('b', 1n), team('a', 1n)])).toEqual([
    ['a', '0.333333', '0.34'],
    ['b', '0.333333', '0.33'],
    [null, '0.333333', '0.33'],
  ]);
  expect(amounts(200n, [team('a', 1n), team('b', 1n), team(null, 1n)]).map(([, , amount]) => amount)).toEqual([
    '0.67',
    '0.67',
    '0.66',
  ]);
  // Exactly 0.6, 1.5 and 0.9 cents: two are left, and b has the smallest remainder.
  expect(amounts(3n, [team('a', 2n), team('b', 5n), team('c', 3n)])).toEqual([
    ['a', '0.200000', '0.01'],
    ['b', '0.500000', '0.01'],
    ['c', '0.300000', '0.01'],
  ]);
});

test('is exact where a double is not', () => {
  const rows = [team('a', 10n ** 30n + 1n), team('b', 10n ** 30n)];
  expect(amounts(99_999_999_999_999_999n, rows)).toEqual([
    ['a', '0.500000', '500000000000000.00'],
    ['b', '0.500000', '499999999999999.99'],
  ]);
});

test('teams of the same name in two tenants are two, in the order of their bytes', () => {
  const rows = [team('z', 1n, 'acme'), team('a', 1n, 'globex'), team('é', 1n, 'acme'), team('a', 1n, 'Zeta')];
  expect(allocate(400n, rows).map(({ team_id, tenant_id }) => [tenant_id, team_id])).toEqual([
    ['Zeta', 'a'],
    ['acme', 'z'],
    ['acme', 'é'],
    ['globex', 'a'],
  ]);
});
