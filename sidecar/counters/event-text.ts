import { USAGE_EVENT_VERSION } from '../../schemas/usage-event.ts';
import { jsonString } from '../json-string.ts';
import type { EventSubject } from './contract.ts';

const EVENT = {
  tenant_id: true,
  request_id: true,
  run_id: true,
  user_id: true,
  team_id: true,
  project_id: true,
  department_id: true,
  agent_id: true,
  channel: true,
  credential_id: true,
  source_ip: true,
  provider: true,
  policy_revision: true,
} satisfies Record<Exclude<keyof EventSubject, 'model'>, true>;
const EVENT_NAMES = Object.keys(EVENT) as (keyof typeof EVENT)[];

/**
 * What of a usage event is known before the take, without its model: JSON that is open at its end, for the store goes on from there.
 * Member by member in half of the time.
 */
export function encodeEvent(decisionId: string, event: EventSubject): string {
  let text = `{"v":${USAGE_EVENT_VERSION},"decision_id":${jsonString(decisionId)}`;
  for (const name of EVENT_NAMES) {
    const value = event[name];
    if (value !== undefined) text += `,"${name}":${jsonString(value)}`;
  }
  return text;
}

/** The model that is asked for, as the event's member. */
export const modelMember = ({ model }: Pick<EventSubject, 'model'>): string =>
  model === undefined ? '' : `,"model":${jsonString(model)}`;
