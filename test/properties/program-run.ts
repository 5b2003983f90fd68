import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import type { Plan } from '../../schemas/policy-io.ts';
import type { Gate, Receipt, SettleRequest, TakeRequest, TakeResult } from '../../sidecar/counters/contract.ts';
import type { OpenedStore } from '../conformance/workbench.ts';
import type { TestClock } from '../helpers/clock.ts';
import type { Step as ModelStep, TakeAnswer } from '../model/grant-model.ts';
import { requestKey } from '../model/memory-model.ts';
import type { StoreModel } from '../model/store-model.ts';
import { compare } from './compare.ts';
import { compareEvents } from './compare-events.ts';
import { PlanMaker } from './plan-maker.ts';
import type { Draw, Program, Step, TakeStep } from './program.arbitrary.ts';

/** Before this there is nothing to be found, after it nothing new. */
const [EARLIEST, LATEST] = [Date.parse('2020-01-01T00:00:00Z'), Date.parse('2050-01-01T00:00:00Z')];
const ALL = 10_000;

interface Decision {
  id: string;
  tenant: string;
  receipt: Receipt | undefined;
  hasRecord: boolean;
}

/** A store that differs from the model; what it was asked is in the message. */
class Difference extends Error {}

/**
 * One program, on a store and on the model beside it. Each answer is compared, and at the end all events. What a store may
 * or may not have forgotten, because a clock was set back to before it, is asked for under a new name or not at all.
 */
export class ProgramRun {
  /** Calls of the store, and what was not asked because both answers would have been right. */
  calls = 0;
  left = 0;
  readonly #opened: OpenedStore;
  readonly #caller: TestClock;
  readonly #model: StoreModel;
  readonly #plans: PlanMaker;
  readonly #start: number;
  readonly #steps: Step[];
  readonly #decisions: Decision[] = [];
  readonly #reports: SettleRequest[] = [];
  #last: { reset_at: number; retry_after_ms: number | null }[] = [];
  #ids = 0;
  #skew = 0;
  #now = 0;

  constructor(opened: OpenedStore, caller: TestClock, model: StoreModel, { definitions, start, steps }: Program) {
    this.#model = model;
    this.#opened = opened;
    this.#caller = caller;
    this.#plans = new PlanMaker(definitions);
    this.#start = start;
    this.#steps = steps;
  }

  async run(): Promise<void> {
    await this.#setClock(this.#start);
    for (const [index, step] of this.#steps.entries()) {
      try {
        await this.#do(step);
      } catch (error) {
        throw new Difference(`step ${index}, ${JSON.stringify(step)}: ${(error as Error).message}`, { cause: error });
      }
    }
    await compareEvents(this.#opened.stream, this.#model.events);
  }

  async #do(step: Step): Promise<void> {
    switch (step.what) {
      case 'take':
        return this.#takes([step]);
      case 'batch':
        return this.#takes(step.takes);
      case 'peek':
        return this.#peek(step);
      case 'settle':
        return this.#report(this.#settleRequest(step));
      case 'again':
        return this.#report(this.#reports.at(-1 - step.which));
      case 'expire':
        return this.#expire(step.limit);
      case 'record':
        return this.#record(this.#decisions.at(-1 - step.which)?.id ?? 'none.0');
      case 'deny':
        return this.#deny(step);
      case 'gate':
        return this.#setGate(step);
      case 'clock':
        return this.#setClock(this.#now + step.by);
      case 'edge':
        return this.#edge(step);
      case 'skew':
        this.#skew = step.by;
        return;
      case 'change':
        return this.#plans.change(step.which, step.to);
    }
  }

  async #setClock(time: number): Promise<void> {
    this.#now = Math.min(LATEST, Math.max(EARLIEST, time));
    await this.#opened.clock?.set(this.#now);
    this.#model.memory.reach(this.#now);
  }

  async #edge({ limit, of, off }: Extract<Step, { what: 'edge' }>): Promise<void> {
    const outcome = this.#last[limit % Math.max(1, this.#last.length)];
    if (!outcome) return;
    const at = of === 'reset' ? outcome.reset_at : this.#now + (outcome.retry_after_ms ?? 0);
    if (Math.abs(at - this.#now) < 100 * 86_400_000) await this.#setClock(at + off);
  }

  /** All at once; the model takes them in the order in which they are asked. */
  async #takes(steps: TakeStep[]): Promise<void> {
    const asked = steps.map((step) => {
      const request = this.#takeRequest(step);
      const expected = this.#model.take(request, this.#now);
      this.#model.commit(expected);
      return { request, expected: expected.answer };
    });
    // A store of another time than its caller's is asked twice, and of many not all.
    this.#caller.set(this.#now + (asked.length === 1 ? this.#skew : 0));
    const answers = await Promise.all(asked.map(({ request }) => this.#opened.store.take(request)));
    this.calls += answers.length;
    for (const [index, { expected, request }] of asked.entries()) {
      const answer = answers[index] as TakeResult;
      compare(`take ${index} ${JSON.stringify(request)}`, withoutReceipt(answer), expected);
      this.#remember(request, answer, expected);
    }
  }

  #remember({ decisionId, event, requestId }: TakeRequest, answer: TakeResult, expected: TakeAnswer): void {
    if ('outcome' in expected) this.#last = expected.outcome.limits;
    if (answer.kind !== 'taken') return;
    const { receipt } = answer;
    const hasRecord = requestId !== undefined || this.#model.memory.grant(decisionId)?.openUntil !== undefined;
    this.#decisions.push({ id: decisionId, tenant: event.tenant_id, receipt, hasRecord });
  }

  async #peek(draw: Draw): Promise<void> {
    const tenant = tenantOf(draw.tenant);
    const plan = this.#unforgotten(draw, (wanted) => this.#model.peek(wanted, tenant, this.#now));
    this.#caller.set(this.#now + this.#skew);
    const answer = await this.#opened.store.peek(plan, tenant);
    this.calls += 1;
    compare(`peek ${JSON.stringify(plan)}`, answer, this.#model.peek(plan, tenant, this.#now).answer);
  }

  async #report(request: SettleRequest | undefined): Promise<void> {
    if (!request) return;
    const decide = () => this.#model.settle(request, this.#now);
    const { decisionId, receipt } = request;
    // A receipt tells nothing of what was done with it longer ago than records are kept.
    const isOld = receipt !== undefined && this.#model.memory.grant(decisionId)?.over;
    if (isOld || this.#isDoubtful(decisionId) || this.#isEitherWay(decide)) {
      this.left += 1;
      return;
    }
    const expected = decide();
    this.#model.commit(expected);
    const answer = await this.#opened.store.settle(request);
    this.calls += 1;
    compare(`settle ${JSON.stringify(request)}`, answer, expected.answer);
    this.#reports.push(request);
  }

  #settleRequest(step: Extract<Step, { what: 'settle' }>): SettleRequest {
    const { actual, answered, by, kind } = step;
    const decision =
      step.which < 0 ? undefined : this.#decisions.at(-1 - (step.which % Math.max(1, this.#decisions.length)));
    const tenantId = by === 'own' ? decision?.tenant : by === 'other' ? 'somebody else' : undefined;
    return {
      decisionId: decision?.id ?? 'none.0',
      kind,
      actual: kind === 'void' ? {} : actual,
      fingerprint: `${kind} ${JSON.stringify(actual)}`,
      ...(tenantId !== undefined && { tenantId }),
      ...(answered && { model: 'answered "so"', usage: { input: 3, output: MAX_AMOUNT } }),
      // Where a record is kept, that tells; a void by receipt after its time is nobody's.
      ...(step.receipt && kind === 'void' && decision?.receipt && !decision.hasRecord && { receipt: decision.receipt }),
    };
  }

  async #expire(limit: number): Promise<void> {
    const due = this.#model.due(this.#now);
    const gone = this.#model.gone;
    const unsure = due.findIndex((id) => this.#isEitherWay(() => this.#model.expire(id, this.#now)));
    // Those whose records are gone are not counted; how many of them a sweep passes over is its own affair.
    const isNew = gone.some(({ passed }) => !passed);
    const isAny = due.length > limit || unsure >= 0;
    const anyFirst = this.#model.settings.expires === 'oldest of each partition' && isAny;
    const most = isNew || anyFirst ? ALL : Math.min(limit, unsure < 0 ? ALL : unsure);
    if (most === 0 || (most === ALL && unsure >= 0) || gone.some(({ id }) => this.#isDoubtful(id))) {
      this.left += 1;
      return;
    }
    const expected = due.slice(0, most);
    // One after the other: two of them may be in flight on the same counter.
    for (const id of expected) this.#model.commit(this.#model.expire(id, this.#now));
    const answer = await this.#opened.store.expire(most);
    this.calls += 1;
    compare('expire', answer, expected.length);
    this.#model.passGone();
  }

  #isDoubtful(decisionId: string): boolean {
    return this.#model.memory.isDoubtfulRecord(decisionId, this.#now);
  }

  async #record(decisionId: string): Promise<void> {
    if (this.#isDoubtful(decisionId)) return;
    const answer = await this.#opened.store.record(decisionId);
    this.calls += 1;
    compare(`record ${decisionId}`, answer, this.#model.record(decisionId, this.#now).answer);
  }

  async #deny({ count, tenant }: Extract<Step, { what: 'deny' }>): Promise<void> {
    const event = { tenant_id: tenantOf(tenant), channel: 'c' };
    const denial = {
      decisionId: this.#newId(event.tenant_id),
      event,
      reason: 'unknown_model',
      ...(count !== null && { count }),
    };
    this.#model.commit(this.#model.deny(denial, this.#now));
    await this.#opened.store.deny(denial);
    this.calls += 1;
  }

  async #setGate({ closedFor, name, tenant }: Extract<Step, { what: 'gate' }>): Promise<void> {
    const gate = this.#gate(tenant, name);
    const until = closedFor === null ? undefined : closedFor === 'for good' ? MAX_AMOUNT : this.#now + closedFor;
    this.#model.memory.setGate(gate, until);
    await this.#opened.store.setGate(gate, until);
    this.calls += 1;
  }

  #takeRequest(step: TakeStep): TakeRequest {
    const tenant = tenantOf(step.tenant);
    const requestId = step.request === null ? undefined : this.#requestId(step.tenant, step.request);
    const request = {
      decisionId: this.#newId(tenant),
      fingerprint: `body ${step.body}`,
      event: {
        tenant_id: tenant,
        user_id: 'ü "quoted"',
        ...(step.body === 0 && { model: 'asked', policy_revision: 'r1' }),
        ...(requestId !== undefined && { request_id: requestId }),
      },
      ...(requestId !== undefined && { requestId }),
      ...(step.gate !== null && { keyGate: this.#gate(step.tenant, step.gate).name }),
      ...(step.quiet && { quiet: true }),
    };
    const plan = this.#unforgotten(step, (wanted) => this.#model.take({ ...request, plan: wanted }, this.#now));
    return { ...request, plan };
  }

  /** Later than every one before it, as the ids of decisions are. */
  #newId(tenant: string): string {
    this.#ids += 1;
    return `${String(this.#ids).padStart(8, '0')}.${this.#opened.store.partitionOf(tenant)}`;
  }

  /** The plan, with other counters in the place of those that a store may or may not have forgotten. */
  #unforgotten(draw: Draw, decide: (plan: Plan) => ModelStep<unknown>): Plan {
    for (const { gates } of draw.candidates) for (const gate of gates) this.#gate(draw.tenant, gate);
    const plan = this.#plans.plan(draw);
    if (!this.#isEitherWay(() => decide(plan))) return plan;
    this.left += 1;
    const limits = [...plan.limits, ...plan.candidates.flatMap((candidate) => candidate.limits)];
    for (const id of new Set(limits.map((limit) => limit.id))) this.#plans.rename(draw.tenant, id);
    return this.#plans.plan(draw);
  }

  #isEitherWay(decide: () => ModelStep<unknown>): boolean {
    const told = ({ answer, event }: ModelStep<unknown>) => JSON.stringify({ answer, event });
    return told(decide()) !== told(this.#model.memory.forgetting(decide));
  }

  #gate(tenant: number, which: number): Gate {
    const gate = () => ({
      tenantId: tenantOf(tenant),
      scope: 'tenant' as const,
      name: this.#plans.named('gate', tenant, which),
    });
    if (this.#model.memory.isDoubtfulGate(gate(), this.#now)) this.#plans.rename(tenant, gate().name);
    return gate();
  }

  #requestId(tenant: number, which: number): string {
    const name = () => this.#plans.named('request', tenant, which);
    const known = this.#model.memory.grantedFor(requestKey(tenantOf(tenant), name()));
    if (known !== undefined && this.#isDoubtful(known)) this.#plans.rename(tenant, name());
    return name();
  }
}

const TENANT_NAMES = ['acme', 'b:{c}', '__proto__'];

const tenantOf = (tenant: number): string => TENANT_NAMES[tenant % TENANT_NAMES.length] as string;

function withoutReceipt(answer: TakeResult): unknown {
  if (answer.kind !== 'taken') return answer;
  const { receipt, ...rest } = answer;
  return rest;
}
