import type { Plan } from '../../schemas/policy-io.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import type {
  DecisionRecord,
  Denial,
  SettleRequest,
  SettleResult,
  TakeRequest,
} from '../../sidecar/counters/contract.ts';
import type { Step, TakeAnswer } from './grant-model.ts';
import { MemoryModel } from './memory-model.ts';
import { type ModelOutcome, outcomeOf } from './outcome-model.ts';
import { decideExpiry, decideSettle } from './report-model.ts';
import { decideDenial, decideTake, look } from './take-model.ts';

export interface ModelSettings {
  reservationTtlMs: number;
  /** Which reservations expire first: the oldest by the store's clock, or of each partition its oldest. */
  expires: 'oldest first' | 'oldest of each partition';
}

/**
 * What every counter store promises, in exact arithmetic and written from the promises. An operation gives what must be
 * answered and what that leaves behind, and nothing has changed before `commit`.
 */
export class StoreModel {
  readonly memory = new MemoryModel();
  readonly settings: ModelSettings;
  /** What must be in the usage stream, in its order. */
  readonly events: UsageEvent[] = [];

  constructor(settings: ModelSettings) {
    this.settings = settings;
  }

  commit(step: Step<unknown>): void {
    this.memory.keep(step);
    if (step.event) this.events.push(step.event);
  }

  take(request: TakeRequest, now: number): Step<TakeAnswer> {
    return decideTake(this.memory, request, this.settings.reservationTtlMs, now);
  }

  peek(plan: Plan, tenantId: string, now: number): Step<{ outcome: ModelOutcome; at: number }> {
    return { answer: { outcome: outcomeOf(look(this.memory, plan, tenantId, now), now), at: now } };
  }

  deny(denial: Denial, now: number): Step<undefined> {
    return decideDenial(denial, now);
  }

  settle(request: SettleRequest, now: number): Step<SettleResult> {
    return decideSettle(this.memory, request, now);
  }

  /** The reservations whose time is over, in the order in which they expire. */
  due(now: number): string[] {
    const { open } = this.memory;
    open.sort((a, b) => a.openUntil - b.openUntil);
    const waiting = open.findIndex(({ openUntil }) => now < openUntil);
    const due = open.slice(0, waiting < 0 ? open.length : waiting);
    return due.map(({ id }) => id).filter((id) => this.memory.record(id, now));
  }

  /** Reservations that nobody expires any more: their records are gone as well. `passed`: a sweep went over them. */
  get gone(): { id: string; passed: boolean }[] {
    return this.memory.open.filter(({ over }) => over);
  }

  passGone(): void {
    for (const grant of this.memory.open) {
      if (grant.over) this.memory.keep({ answer: undefined, grant: { ...grant, passed: true } });
    }
  }

  expire(decisionId: string, now: number): Step<undefined> {
    const grant = this.memory.grant(decisionId);
    if (!grant) throw new Error(`${decisionId} was never granted`);
    return decideExpiry(this.memory, grant, now);
  }

  record(decisionId: string, now: number): Step<DecisionRecord | undefined> {
    const grant = this.memory.record(decisionId, now);
    if (!grant) return { answer: undefined };
    const { at, event, outcome, state } = grant;
    const { policy_revision: policyRevision, tenant_id: tenantId } = event;
    return { answer: { decisionId, tenantId, state, policyRevision, outcome, decidedAt: at } };
  }
}
