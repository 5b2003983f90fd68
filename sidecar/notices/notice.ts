import type { LimitOutcome } from '../../schemas/policy-io.ts';
import type { Change } from '../counters/contract.ts';
import type { Answer } from '../decision/answer.ts';
import type { DecisionRequest } from '../decision/request.ts';

/** What an admin is told: that a budget crossed a threshold, or whatever else a policy's `notify` says. */
export interface Notice {
  /** The same notice sent again has the same id. */
  id: string;
  kind: string;
  tenant_id: string;
  user_id?: string;
  decision_id: string;
  /** RFC 3339. */
  at: string;
  limit?: string;
  percent?: number;
  used?: number;
  capacity?: number;
  message?: string;
}

/** Those that a decision asks for: `{"to": "admin", "kind": "budget", "limit": …, "percent": …, "message"?: …}`. */
export function noticesOf({ subject }: DecisionRequest, answer: Answer): Notice[] {
  const { at, decision, decisionId, outcome, replayed } = answer;
  if (replayed) return [];
  return (decision.obligations.notify ?? [])
    .filter(({ to }) => to === 'admin')
    .map(({ kind, limit, message, percent }) => {
      const counter = outcome?.limits.find(({ id }) => id === limit);
      return {
        id: `${decisionId}:${text(kind) ?? 'notice'}:${text(limit) ?? ''}:${whole(percent) ?? ''}`,
        kind: text(kind) ?? 'notice',
        tenant_id: subject.tenant_id,
        ...(subject.user_id !== undefined && { user_id: subject.user_id }),
        decision_id: decisionId,
        at: new Date(at).toISOString(),
        ...defined({ limit: text(limit), percent: whole(percent), message: text(message) }),
        ...(counter && numbers(counter)),
      };
    });
}

export interface Settled {
  decisionId: string;
  tenantId: string;
  at: number;
  changes: readonly Change[];
  /** Whether nobody is to be told that a budget is used up. */
  isQuiet: boolean;
}

/** Those that a report of what was really used asks for: no policy is asked then, and every threshold is told. */
export const noticesOfReport = ({ at, changes, decisionId, isQuiet, tenantId }: Settled): Notice[] =>
  changes.flatMap(({ crossed = [], id }) =>
    crossed
      .filter((percent) => percent < 100 || !isQuiet)
      .map((percent) => ({
        id: `${decisionId}:budget:${id}:${percent}`,
        kind: 'budget',
        tenant_id: tenantId,
        decision_id: decisionId,
        at: new Date(at).toISOString(),
        limit: id,
        percent,
      })),
  );

/** For a channel that people read. */
export function sentence({ capacity, kind, limit, message, percent, tenant_id, used, user_id }: Notice): string {
  const who = user_id === undefined ? tenant_id : `${user_id} (${tenant_id})`;
  const numbers = used === undefined || capacity === undefined ? '' : `: ${used} of ${capacity} used`;
  const what = limit === undefined ? kind : `${limit} has reached ${percent ?? '?'} %${numbers}`;
  return `${who}: ${what}.${message ? ` ${message}` : ''}`;
}

const numbers = ({ capacity, used }: LimitOutcome) => ({ used, capacity });

const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 1_024) : undefined);

const whole = (value: unknown) => (Number.isSafeInteger(value) ? (value as number) : undefined);

const defined = <Value extends object>(value: Value) =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined));
