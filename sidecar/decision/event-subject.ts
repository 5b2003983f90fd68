import type { EventSubject } from '../counters/contract.ts';
import type { DecisionRequest } from './request.ts';

/** Who asked, for what, under which policy. Written out: as a copy with one more it took 3 % of a decision, and was slower to read. */
export const eventOf = (subject: DecisionRequest['subject'], revision: string) =>
  ({
    tenant_id: subject.tenant_id,
    user_id: subject.user_id,
    team_id: subject.team_id,
    project_id: subject.project_id,
    department_id: subject.department_id,
    agent_id: subject.agent_id,
    channel: subject.channel,
    model: subject.model,
    provider: subject.provider,
    run_id: subject.run_id,
    credential_id: subject.credential_id,
    source_ip: subject.source_ip,
    request_id: subject.request_id,
    policy_revision: revision,
  }) satisfies Record<keyof EventSubject, string | undefined>;
