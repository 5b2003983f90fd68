import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { usersSchema } from './users.ts';

const problems = (users: object[]) =>
  usersSchema.safeParse({ users }).error?.issues.map(({ message, path }) => `${path.join('.')}: ${message}`);

describe('users.yaml', () => {
  test('keeps digests of keys, and no key', () => {
    const digest = createHash('sha256').update('ak_bob_secret').digest('hex');
    const { users } = usersSchema.parse({
      users: [
        { id: 'alice', api_key: 'ak_alice_…' },
        { id: 'bob', api_key_sha256: digest.toUpperCase() },
      ],
    });
    expect(users.map(({ key_digests }) => key_digests)).toEqual([
      [createHash('sha256').update('ak_alice_…').digest('hex')],
      [digest],
    ]);
    expect(JSON.stringify(users)).not.toContain('ak_alice');
  });

  test('has no user, key, address or channel identity twice, and never shows a key', () => {
    const alice = { id: 'alice', api_key: 'ak_same_key', email: 'a@example.com', channels: ['slack:U1'] };
    expect(problems([alice, { ...alice }])).toEqual([
      'users.1.id: the user "alice" is given twice, first for users[0] (alice)',
      'users.1.api_key: this key is given twice, first for users[0] (alice)',
      'users.1.email: the e-mail address "a@example.com" is given twice, first for users[0] (alice)',
      'users.1.channels: the channel identity "slack:U1" is given twice, first for users[0] (alice)',
    ]);
    const digest = createHash('sha256').update('ak_same_key').digest('hex');
    expect(problems([alice, { id: 'bob', api_key_sha256: digest }])).toHaveLength(1);
  });

  test('gives users who name no tenant that of all', () => {
    const user_identification = { method: 'api_key', tenant: 'acme' };
    const { users } = usersSchema.parse({ user_identification, users: [{ id: 'a' }, { id: 'b', tenant: 'globex' }] });
    expect(users.map(({ tenant }) => tenant)).toEqual(['acme', 'globex']);
  });

  test('refuses what cannot be a key, a digest, a name or a channel identity', () => {
    expect(problems([{ id: 'a', api_key: 'short' }])).toEqual(['users.0.api_key: must have at least 8 characters']);
    expect(problems([{ id: 'a', api_key: 'with white space' }])).toHaveLength(1);
    expect(problems([{ id: 'a', api_key_sha256: 'abc' }])).toHaveLength(1);
    expect(problems([{ id: '' }, { id: 'ü'.repeat(129) }, { id: 'a\u0000' }])).toHaveLength(3);
    expect(problems([{ id: 'a', channels: ['slack'] }])).toHaveLength(1);
  });
});
