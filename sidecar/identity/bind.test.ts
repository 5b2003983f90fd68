import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { usersSchema } from '../../schemas/config/users.ts';
import type { Refusal } from '../routes/refusal.ts';
import { bind } from './bind.ts';
import { ANONYMOUS, SERVICE } from './identity.ts';
import { KnownUsers } from './known-users.ts';

const users = new KnownUsers(
  usersSchema.parse({
    users: [
      {
        id: 'alice',
        api_key: 'ak_alice_1',
        tenant: 'acme',
        team: 'data',
        department: 'rnd',
        role: 'developer',
        projects: ['p1'],
      },
      { id: 'bob', api_key: 'ak_bob_123', channels: ['slack:U123'] },
    ],
  }),
);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const alice = users.byKey(sha256('ak_alice_1')) ?? SERVICE;
const bob = users.byKey(sha256('ak_bob_123')) ?? SERVICE;
const hers = { tenant_id: 'acme', user_id: 'alice', team_id: 'data', department_id: 'rnd', role: 'developer' };

function refused(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    const { body, status } = error as Refusal;
    expect(status).toBe(403);
    return body.message;
  }
  throw new Error('it was not refused');
}

describe('a user', () => {
  test('need not say who it is', () => {
    expect(bind({ model: 'm' }, alice, users)).toEqual({ model: 'm', ...hers });
    expect(bind({ tenant_id: null, user_id: '' }, alice, users)).toEqual(hers);
    expect(bind({ ...hers, project_id: 'p1' }, alice, users)).toEqual({ ...hers, project_id: 'p1' });
  });

  test.each([
    [{ user_id: 'bob' }, 'input.user_id: this credential is not "bob"'],
    [{ tenant_id: 'globex' }, 'input.tenant_id: this credential is not "globex"'],
    [{ team_id: 'ops' }, 'input.team_id: this credential is not "ops"'],
    [{ department_id: 'sales' }, 'input.department_id: this credential is not "sales"'],
    [{ role: 'admin' }, 'input.role: this credential is not "admin"'],
    [{ role: ['admin'] }, 'input.role: this credential is not ["admin"]'],
    [{ project_id: 'p2' }, 'input.project_id: this credential is not of project "p2"'],
  ])('may not say it is %j', (claim, message) => {
    expect(refused(() => bind(claim, alice, users))).toBe(message);
  });

  test('of whom no role or team is known may not claim one, but may name its tenant', () => {
    expect(refused(() => bind({ role: 'admin' }, bob, users))).toContain('input.role');
    expect(refused(() => bind({ team_id: 'data' }, bob, users))).toContain('input.team_id');
    expect(bind({ tenant_id: 'acme', project_id: 'any' }, bob, users)).toEqual({
      tenant_id: 'acme',
      user_id: 'bob',
      project_id: 'any',
    });
  });
});

describe('a service', () => {
  test('is believed, and what it leaves out is known', () => {
    expect(bind({ user_id: 'alice', role: 'admin', x: null }, SERVICE, users)).toEqual({
      ...hers,
      role: 'admin',
      x: null,
    });
    expect(bind({ user_id: 'carol' }, SERVICE, users)).toEqual({ user_id: 'carol' });
    expect(bind({ user_id: 7 }, SERVICE, users)).toEqual({ user_id: 7 });
  });

  test('names a user by the sender on a channel', () => {
    expect(bind({ channel: 'slack', sender_id: 'U123' }, SERVICE, users)).toMatchObject({ user_id: 'bob' });
    expect(bind({ channel: 'slack', sender_id: 'U1' }, SERVICE, users)).not.toHaveProperty('user_id');
    expect(bind({ channel: 'slack', sender_id: 'U123', user_id: 'alice' }, SERVICE, users)).toMatchObject(hers);
  });
});

test('who is not identified speaks for no user', () => {
  expect(bind({ tenant_id: 'acme' }, ANONYMOUS, users)).toEqual({ tenant_id: 'acme' });
  expect(refused(() => bind({ tenant_id: 'acme', user_id: 'alice' }, ANONYMOUS, users))).toContain('not identified');
});
