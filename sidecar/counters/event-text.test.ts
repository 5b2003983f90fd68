import { expect, test } from 'vitest';
import type { EventSubject } from './contract.ts';
import { encodeEvent, nothingSaid } from './event-text.ts';

const EVENT: Required<Omit<EventSubject, 'request_id' | 'model'>> = {
  tenant_id: 'größe',
  run_id: 'run',
  user_id: 'u',
  team_id: 't',
  project_id: 'p',
  department_id: 'd',
  agent_id: 'main',
  channel: 'a"b',
  credential_id: 'service',
  source_ip: '::1',
  provider: 'anthropic',
  policy_revision: 'r1',
};

const read = (id: string, event: EventSubject, said = nothingSaid()) => JSON.parse(`${encodeEvent(id, event, said)}}`);

test('an event says its names, its decision and its version; its model is said elsewhere', () => {
  expect(read('d', { ...EVENT, model: 'm', request_id: 'q' })).toEqual({
    v: 1,
    decision_id: 'd',
    ...EVENT,
    request_id: 'q',
  });
});

test('the next one says what is new of it, whatever the last one said', () => {
  const said = nothingSaid();
  read('d1', EVENT, said);
  expect(read('d2', { ...EVENT }, said)).toEqual({ v: 1, decision_id: 'd2', ...EVENT });
  for (const name of Object.keys(EVENT)) {
    const other = { ...EVENT, [name]: 'another' };
    expect(read('d3', other, said)).toEqual({ v: 1, decision_id: 'd3', ...other });
    if (name === 'tenant_id') continue;
    const without = { ...EVENT, [name]: undefined };
    expect(read('d4', without, said)).toEqual({ v: 1, decision_id: 'd4', ...JSON.parse(JSON.stringify(without)) });
  }
});

test('its model is the last one’s, or a new one', () => {
  const said = nothingSaid();
  for (const model of ['a"b', 'a"b', undefined, 'c']) {
    read('d', { ...(EVENT as EventSubject), ...(model !== undefined && { model }) }, said);
    expect(JSON.parse(`{"":0${said.model}}`).model).toBe(model);
  }
});

test('nothing of one tenant is said of another', () => {
  const said = nothingSaid();
  read('d1', EVENT, said);
  expect(read('d2', { tenant_id: '' }, said)).toEqual({ v: 1, decision_id: 'd2', tenant_id: '' });
  expect(read('d3', { tenant_id: 'b' }, said)).toEqual({ v: 1, decision_id: 'd3', tenant_id: 'b' });
});
