import { USAGE_EVENT_VERSION } from '../../schemas/usage-event.ts';
import { jsonString } from '../json-string.ts';
import type { EventSubject } from './contract.ts';

const CALLS_OWN = ['request_id', 'run_id'] as const;

const EVENT = {
  tenant_id: true,
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
} satisfies Record<Exclude<keyof EventSubject, 'model' | (typeof CALLS_OWN)[number]>, true>;
const EVENT_NAMES = Object.keys(EVENT) as (keyof typeof EVENT)[];

/** The names of an event that was put together before. Those of one plan are nearly always the same. */
export interface Said {
  event: EventSubject;
  text: string;
  /** That of the model that was asked for. */
  model: string;
  /** Both. */
  all: string;
}

/**
 * What of a usage event is known before the take, without its model: JSON that is open at its end, for the store goes on from there.
 * `said` is kept by the caller for the next event of the same plan: of that only the ids are new.
 */
export function encodeEvent(decisionId: string, event: EventSubject, said = nothingSaid()): string {
  say(said, event);
  return `{"v":${USAGE_EVENT_VERSION},"decision_id":${jsonString(decisionId)}${own(event)}${said.text}`;
}

/** The same of a grant that is not settled later, with its id and its model. */
export function encodeConsumed(decisionId: string, event: EventSubject, said: Said): string {
  say(said, event);
  const id = jsonString(decisionId);
  return `{"v":${USAGE_EVENT_VERSION},"decision_id":${id},"id":${id.slice(0, -1)}:consumed"${own(event)}${said.all}`;
}

function say(said: Said, event: EventSubject): void {
  if (isSame(said.event, event)) return;
  said.event = event;
  said.text = membersOf(event, EVENT_NAMES);
  said.model = modelMember(event);
  said.all = [said.text, said.model].join('');
}

const own = (event: EventSubject): string =>
  event.request_id === undefined && event.run_id === undefined ? '' : membersOf(event, CALLS_OWN);

/** Of no tenant, as no event is: whatever is said next is new. */
export const nothingSaid = (): Said => ({ event: NOTHING, text: '', model: '', all: '' });

const NOTHING = { tenant_id: '\0' };

/** Written out: in a loop over the names it took 3 % of a decision. */
const isSame = (said: EventSubject, event: EventSubject): boolean =>
  said.tenant_id === event.tenant_id &&
  said.user_id === event.user_id &&
  said.team_id === event.team_id &&
  said.project_id === event.project_id &&
  said.department_id === event.department_id &&
  said.agent_id === event.agent_id &&
  said.channel === event.channel &&
  said.credential_id === event.credential_id &&
  said.source_ip === event.source_ip &&
  said.provider === event.provider &&
  said.policy_revision === event.policy_revision &&
  said.model === event.model;

/** Joined, and so one piece: a sum of texts is kept as all its parts. */
function membersOf(event: EventSubject, names: readonly (keyof EventSubject)[]): string {
  const members = names.map((name) => {
    const value = event[name];
    return value === undefined ? '' : `,"${name}":${jsonString(value)}`;
  });
  return members.join('');
}

/** The model that is asked for, as the event's member. */
export const modelMember = ({ model }: Pick<EventSubject, 'model'>): string =>
  model === undefined ? '' : `,"model":${jsonString(model)}`;
