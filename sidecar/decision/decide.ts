import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { Decision, Outcome, Plan } from '../../schemas/policy-io.ts';
import type { Reason } from '../../schemas/reasons.ts';
import {
  type CounterStore,
  CountersUnavailable,
  type EventSubject,
  type LostCall,
  RecordsFull,
  type TakeResult,
} from '../counters/contract.ts';
import { during, type Phases } from '../metrics/phases.ts';
import { type Policy, PolicyError } from '../policy/policy.ts';
import type { Answer } from './answer.ts';
import { newDecisionId } from './decision-id.ts';
import { asIfThereWereRoom, withoutNumbers } from './degraded.ts';
import type { Denials } from './denials.ts';
import { eventOf } from './event-subject.ts';
import { fillTemplates } from './message.ts';
import type { OwedGrant } from './owed/grants.ts';
import type { OwedJournal } from './owed/journal.ts';
import type { RecordsFullAlarm } from './records-full.ts';
import type { DecisionRequest } from './request.ts';
import type { Revocations } from './revocations.ts';

export interface DeciderDeps {
  /** The policy in force: asked once for each answer, so that each answer comes from exactly one revision. */
  policy: () => Policy;
  store: Pick<CounterStore, 'partitionOf' | 'peek'>;
  revocations: Pick<Revocations, 'giveBack'>;
  denials: Pick<Denials, 'take' | 'deny'>;
  /** What is allowed while the store is away, and not charged yet; undefined where the store cannot be away. */
  owed: Pick<OwedJournal, 'allows' | 'request' | 'add'> | undefined;
  recordsFull: Pick<RecordsFullAlarm, 'raise'> | undefined;
  /** Undefined: nobody wants to know how long each takes. */
  phases?: Phases | undefined;
  clock: Clock;
  log: Log;
}

/** The same request id was granted for another body. */
export type Conflict = 'conflict';

/**
 * Plan → take → decide: the whole of a decision. Evaluates the plan, takes from the counters in one atomic step, and
 * lets the policy say what the outcome means. A failure of the policy or the store is a denial, never an accidental allow.
 */
export class Decider {
  readonly #deps: DeciderDeps;

  constructor(deps: DeciderDeps) {
    this.#deps = deps;
  }

  /** Takes, and leaves a usage event. Of the policy in force, or that which the caller's answer is of already. */
  decide(request: DecisionRequest, policy?: Policy): Promise<Answer | Conflict> {
    return this.#run(request, false, policy);
  }

  /** What `decide` would answer now. Takes nothing, leaves no event. */
  async preview(request: DecisionRequest, policy?: Policy): Promise<Answer> {
    return (await this.#run(request, true, policy)) as Answer;
  }

  async #run(request: DecisionRequest, dryRun: boolean, given: Policy | undefined): Promise<Answer | Conflict> {
    const policy = given ?? this.#deps.policy();
    const phases = this.#deps.phases;
    const step = new Step(this.#deps, policy, request, dryRun);
    try {
      const planned = during(phases?.plan, () => policy.plan(request.pkg, request.input));
      const plan = planned instanceof Promise ? await planned : planned;
      const before = plan.refuse ? step.refused(plan, plan.refuse) : step.owedBefore(plan);
      if (before) return await before;
      const phase = dryRun ? undefined : phases?.take;
      const begun = phase?.begin() ?? 0;
      let result: TakeResult | Uncounted;
      try {
        result = await step.take(plan);
        phase?.end(begun);
      } catch (error) {
        phase?.end(begun);
        result = await step.notTaken(plan, error);
      }
      const answer = step.answered(plan, result);
      return answer instanceof Promise ? await answer : answer;
    } catch (error) {
      if (error instanceof PolicyError) return step.failed('policy_error', 500, error);
      if (error instanceof CountersUnavailable) return step.failed('counters_unavailable', 503, error);
      throw error;
    }
  }
}

const GRANTED: Decision = { allow: true, reason: 'ok', status: 200, message: '', warnings: [], obligations: {} };

const REVOKED: Decision = {
  allow: false,
  reason: 'revoked_key',
  status: 401,
  message: 'This key has been revoked.',
  warnings: [],
  obligations: {},
};

interface Uncounted {
  kind: 'uncounted';
  answer: Answer | Conflict;
}

/** What was counted, or is now. */
type Counted = Exclude<TakeResult, { kind: 'conflict' | 'closed' }>;

/** Whether what was taken stays, and nothing is granted that a limit refused. */
const stands = ({ allow }: Decision, { kind, outcome }: Counted) => (allow ? outcome.granted : kind !== 'taken');

/** One decision on its way. */
class Step {
  readonly #deps: DeciderDeps;
  readonly #policy: Policy;
  readonly #request: DecisionRequest;
  readonly #dryRun: boolean;
  readonly #decisionId: string;
  readonly #event: EventSubject;

  constructor(deps: DeciderDeps, policy: Policy, request: DecisionRequest, dryRun: boolean) {
    this.#deps = deps;
    this.#policy = policy;
    this.#request = request;
    this.#dryRun = dryRun;
    this.#decisionId = newDecisionId(deps.clock.now(), deps.store.partitionOf(request.subject.tenant_id));
    this.#event = eventOf(request.subject, policy.revision);
  }

  /** The plan itself says no: nothing is taken. */
  async refused(plan: Plan, { message, reason, status }: NonNullable<Plan['refuse']>): Promise<Answer> {
    await this.#recordDenial(reason);
    return this.#answer({ allow: false, reason, status, message, warnings: [], obligations: {} }, { plan });
  }

  /** Undefined where its request id was not granted while the store was away. */
  owedBefore(plan: Plan): Promise<Answer | Conflict> | undefined {
    const { requestId, subject } = this.#request;
    const waiting = this.#dryRun ? undefined : this.#deps.owed?.request(subject.tenant_id, requestId);
    return waiting && this.#owed(plan, waiting);
  }

  /** What the store says. */
  take(plan: Plan): Promise<TakeResult> {
    if (this.#dryRun) return this.#peek(plan);
    const { fingerprint, keyGate, requestId } = this.#request;
    const given = { decisionId: this.#decisionId, plan, event: this.#event, requestId, fingerprint };
    return this.#deps.denials.take(keyGate === undefined ? given : { ...given, keyGate });
  }

  /** Where the store is away and the operator prefers to allow, the answer without it. */
  async notTaken(plan: Plan, failure: unknown): Promise<Uncounted> {
    const { owed } = this.#deps;
    if (!owed?.allows || !(failure instanceof CountersUnavailable) || failure instanceof RecordsFull) throw failure;
    return { kind: 'uncounted', answer: await this.#uncounted(owed, plan, failure.lost) };
  }

  /** At once where what the policy says of it is remembered, and it stands. */
  answered(plan: Plan, result: TakeResult | Uncounted): Answer | Conflict | Promise<Answer> {
    if (result.kind === 'uncounted') return result.answer;
    if (result.kind === 'conflict') return 'conflict';
    if (result.kind === 'closed') return this.#answer(REVOKED, { plan, at: result.at });
    const decision = this.#decided(plan, result);
    if (decision instanceof Promise || !stands(decision, result)) return this.#answeredLater(plan, result, decision);
    return this.#told(plan, result, decision);
  }

  /** A policy that fails on what was taken gives it back, as one that denies does; one that grants what a `deny` limit refused has failed. */
  async #answeredLater(plan: Plan, result: Counted, decided: Decision | Promise<Decision>): Promise<Answer> {
    const isTaken = result.kind === 'taken' && !this.#dryRun;
    let answer: Answer;
    try {
      const decision = await decided;
      if (decision.allow && !result.outcome.granted) {
        throw new PolicyError(`${this.#request.pkg}/decision allows what a limit refused`);
      }
      answer = this.#told(plan, result, decision);
    } catch (error) {
      if (isTaken) await this.#deps.revocations.giveBack(this.#decisionId, result.receipt);
      throw error;
    }
    if (isTaken && !answer.decision.allow) await this.#deps.revocations.giveBack(this.#decisionId, result.receipt);
    return answer;
  }

  #told(plan: Plan, result: Counted, decision: Decision): Answer {
    const { at, outcome } = result;
    const isReplayed = result.kind === 'replayed';
    return {
      decisionId: isReplayed ? result.decisionId : this.#decisionId,
      decision: fillTemplates(decision, outcome, plan, at),
      outcome,
      about: decision.about,
      plan,
      replayed: isReplayed,
      policyRevision: isReplayed ? (result.policyRevision ?? '') : this.#policy.revision,
      at,
    };
  }

  /** The store is away, and the operator prefers to allow: as if there were room, and written down to be charged. */
  async #uncounted(
    journal: Pick<OwedJournal, 'add'>,
    plan: Plan,
    lost: LostCall | undefined,
  ): Promise<Answer | Conflict> {
    const decision = await this.#decidedWithoutNumbers(plan);
    if (decision.allow && !this.#dryRun) {
      const { fingerprint, requestId } = this.#request;
      const decidedAt = this.#deps.clock.now();
      const owed = { decisionId: this.#decisionId, plan, event: this.#event, requestId, fingerprint, decidedAt, lost };
      const grant = await journal.add(owed);
      // Two with one request id arrived together.
      if (grant.decisionId !== this.#decisionId) return this.#owed(plan, grant);
    }
    return this.#answer(decision, { plan, degraded: true });
  }

  /** Its request id was granted while the store was away, and is not charged yet. */
  async #owed(plan: Plan, grant: OwedGrant): Promise<Answer | Conflict> {
    if (grant.fingerprint !== this.#request.fingerprint) return 'conflict';
    await grant.written;
    const { decisionId, policyRevision = '' } = grant;
    const decision = policyRevision === this.#policy.revision ? await this.#decidedWithoutNumbers(plan) : GRANTED;
    return this.#answer(decision, { plan, degraded: true, replayed: true, decisionId, policyRevision });
  }

  async #decidedWithoutNumbers(plan: Plan): Promise<Decision> {
    return withoutNumbers(await this.#decide(plan, asIfThereWereRoom(plan)));
  }

  async failed(reason: Reason, status: number, error: Error): Promise<Answer> {
    if (error instanceof RecordsFull) this.#deps.recordsFull?.raise(error);
    // Of a store that is away the breaker tells, once: an error for each request would only slow the denials down.
    const level = reason === 'counters_unavailable' ? 'debug' : 'error';
    this.#deps.log[level]({ err: error, decision_id: this.#decisionId, reason }, 'denied because of a failure');
    if (reason === 'policy_error') await this.#recordDenial(reason);
    const message = reason === 'policy_error' ? 'The policy failed.' : 'The counters cannot be reached.';
    return this.#answer({ allow: false, reason, status, message, warnings: [], obligations: {} }, { failure: error });
  }

  /** What the policy makes of an outcome. */
  #decide(plan: Plan, outcome: Outcome) {
    const { input, pkg } = this.#request;
    return during(this.#deps.phases?.decide, () => this.#policy.decide(pkg, input, outcome, plan));
  }

  async #peek(plan: Plan): Promise<Extract<TakeResult, { kind: 'taken' | 'refused' }>> {
    const { at, outcome } = await this.#deps.store.peek(plan, this.#request.subject.tenant_id);
    return outcome.granted ? { kind: 'taken', at, outcome, receipt: () => '' } : { kind: 'refused', at, outcome };
  }

  /** Of what is repeated under another policy that policy is gone: what stands is that it was granted. */
  #decided(plan: Plan, result: Counted): Decision | Promise<Decision> {
    if (result.kind === 'replayed' && result.policyRevision !== this.#policy.revision) return GRANTED;
    try {
      return this.#decide(plan, result.outcome);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #recordDenial(reason: string): Promise<void> {
    if (this.#dryRun) return;
    await this.#deps.denials.deny({ decisionId: this.#decisionId, event: this.#event, reason });
  }

  #answer(decision: Decision, more: Partial<Answer>): Answer {
    return {
      decisionId: this.#decisionId,
      decision,
      outcome: undefined,
      plan: undefined,
      replayed: false,
      policyRevision: this.#policy.revision,
      at: this.#deps.clock.now(),
      ...more,
    };
  }
}
