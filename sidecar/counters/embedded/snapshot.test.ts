import { pino } from 'pino';
import { expect, test } from 'vitest';
import { apiKey } from '../../../test/conformance/api-keys-bench.ts';
import { limit } from '../../../test/conformance/workbench.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { MAX_BUDGET_GRANTS } from '../budget-grant.ts';
import { decideApiKeyChange, decideApiKeyPublication, decideApiKeyUses } from './api-keys.ts';
import { decideBudgetGrant, decideRevocation } from './budget-grants.ts';
import { apply, type Effect } from './effect.ts';
import { createJournal } from './journal.ts';
import { recover } from './recover.ts';
import { decideSettle } from './settle.ts';
import { writeSnapshot } from './snapshot.ts';
import { emptyState, type State } from './state.ts';
import { decideTake } from './take.ts';

const START = 1_767_225_600_000;
const log = pino({ level: 'silent' });

/** What a snapshot and an empty journal after it come to. */
async function readBack(state: State): Promise<State> {
  const folder = await tempDir('counters');
  const { file } = await createJournal(folder, 7);
  await file.close();
  await writeSnapshot(folder, 7, state);
  const recovered = await recover(folder, log);
  await recovered.file.close();
  return recovered.state;
}

function take(state: State, n: number): void {
  const plan = { limits: [limit({ capacity: 1e6, settles: true })], candidates: [], raw_counters: false };
  const request = { decisionId: `d${n}`, plan, event: { tenant_id: `t${n % 7}` }, fingerprint: '', requestId: `q${n}` };
  change(state, decideTake(state, request, SETTINGS, START + n).effect);
}

function boost(state: State, id: string): void {
  const grant = { id, tenantId: 't1', userId: 'alice', tokens: 5, expiresAt: START + 9_000, reason: '', by: 'admin' };
  change(state, decideBudgetGrant(state, grant, MAX_BUDGET_GRANTS, START).effect);
}

/** Some keys, one of which is revoked, one used, and one dropped. */
function keys(state: State): void {
  const given = ['1', '2', '3'].map((name) => apiKey({ id: `k0_${name.padStart(12, '0')}` }));
  const audit = { id: 'issued', action: 'key.issued', actor: 'admin' } as const;
  const issued = { tenantId: 't1', keys: given, closeGates: ['key:1'], audit };
  change(state, decideApiKeyChange(state, issued, 3, START).effect);
  change(state, decideApiKeyUses(state, new Map(given.map(({ id }) => [id, START]))).effect);
  change(state, decideApiKeyPublication(state, { partition: 0, keys: [], complete: true }).effect);
  change(state, { apiKeys: [[given[0]?.id ?? '', null]] });
}

const change = (state: State, effect: Effect | undefined) => apply(state, effect ?? {});

test('it holds all that the store knows', async () => {
  const state = emptyState();
  for (let n = 0; n < 2_000; n++) take(state, n);
  for (let n = 0; n < 2_000; n += 3) {
    const report = {
      decisionId: `d${n}`,
      kind: n % 2 ? 'void' : 'settle',
      actual: { tokens: n },
      fingerprint: '',
    } as const;
    change(state, decideSettle(state, report, START + 5_000).effect);
  }
  change(state, { delivered: [1, 2, 3].map((number) => [number, number]) });
  change(state, { acknowledged: [2] });
  for (const id of ['a', 'b', 'c']) boost(state, id);
  change(state, decideRevocation(state, 'b', 'admin', START).effect);
  expect(state.budgetGrants.size).toBe(3);
  keys(state);
  expect([state.apiKeys.size, state.apiKeysUsed.size, state.gates.size, state.apiKeysPublished]).toEqual([
    2,
    2,
    1,
    true,
  ]);
  expect(state.stream.size).toBe(2_671);
  expect(await readBack(state)).toEqual(state);
});

test('also of a stream of which nothing is left, so that its numbers go on', async () => {
  const state = emptyState();
  take(state, 1);
  change(state, { delivered: [[1, 1]] });
  change(state, { acknowledged: [1] });
  expect(await readBack(state)).toMatchObject({ stream: new Map(), lastEntry: 1, lastDelivered: 1 });
});

test('also when it is empty', async () => {
  expect(await readBack(emptyState())).toEqual(emptyState());
});
