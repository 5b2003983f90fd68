import { expect, test } from 'vitest';
import { whoOf } from './identity.ts';

const RULES = { tenant: '{agent}', user: undefined, users: new Map() };
const TELEGRAM = {
  agentId: 'main',
  channel: 'telegram',
  accountId: 'default',
  senderId: '4711',
  // All of Telegram's direct messages have this one.
  sessionKey: 'agent:main:main',
};

test('the agent is the tenant, and the sidecar is told channel and sender', () => {
  expect(whoOf(TELEGRAM, RULES)).toEqual({
    tenant_id: 'main',
    agent_id: 'main',
    channel: 'telegram',
    sender_id: '4711',
  });
});

test('templates make tenant and user', () => {
  const who = whoOf(TELEGRAM, { ...RULES, tenant: '{account}-{agent}', user: '{channel}-{sender}' });
  expect(who).toMatchObject({ tenant_id: 'default-main', user_id: 'telegram-4711' });
});

test('who has no sender has no user: never the session for one', () => {
  const { senderId: _, ...unknown } = TELEGRAM;
  expect(whoOf(unknown, { ...RULES, user: '{channel}-{sender}' })).toEqual({
    tenant_id: 'main',
    agent_id: 'main',
    channel: 'telegram',
  });
});

test('an empty tenant leaves it to the sidecar', () => {
  expect(whoOf(TELEGRAM, { ...RULES, tenant: '' })).not.toHaveProperty('tenant_id');
});

test.each([
  ['telegram:default:4711', TELEGRAM],
  ['telegram:4711', TELEGRAM],
  ['webchat', { agentId: 'main', channel: 'webchat' }],
  ['none', { agentId: 'main', channel: 'webchat' }],
  ['none', { agentId: 'main' }],
])('the table names %s, before the templates', (key, ctx) => {
  const users = new Map([[key, { user: 'ann', tenant: 'home' }]]);
  expect(whoOf(ctx, { ...RULES, user: 'nobody', users })).toMatchObject({ user_id: 'ann', tenant_id: 'home' });
});

test('a channel alone is nobody who has a sender there', () => {
  const users = new Map([
    ['telegram', { user: 'ann' }],
    ['none', { user: 'bob' }],
  ]);
  expect(whoOf(TELEGRAM, { ...RULES, users })).not.toHaveProperty('user_id');
});
