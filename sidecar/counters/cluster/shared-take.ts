import type { Clock } from '../../../runtime/clock.ts';
import { MAX_AMOUNT } from '../../../schemas/amounts.ts';
import type { ClosedGate, LimitOutcome, Plan } from '../../../schemas/policy-io.ts';
import { CountersUnavailable, RecordsFull, type TakeRequest, type TakeResult } from '../contract.ts';
import { whysOf } from '../passed-over.ts';
import { heldEvent, inOrder, type SharedCharges } from '../redis/decode.ts';
import type { OwnPart } from '../redis/encode-decision.ts';
import type { Partition } from '../redis/partition.ts';
import { candidateAlone, candidatesFrom, type Group, limitIds } from './split-plan.ts';

export interface SharedTakeDeps {
  /** The tenant's partition. */
  own: Partition;
  account(name: string): Partition;
  clock: Clock;
  /** No further candidate is tried when so much time is over. */
  timeoutMs: number;
}

/** What a decision was charged at an account. */
export interface Held {
  account: string;
  /** Of its record there. */
  id: string;
  limits: LimitOutcome[];
  /** The charges as JSON for the event. */
  event: string;
}

type Answered = Extract<TakeResult, { kind: 'taken' | 'refused' }>;

/**
 * A take that draws on a provider account as well, whose counters are in another slot. The account chooses among
 * the candidates and takes first, then the tenant's partition takes the rest and appends the event. What the tenant's
 * partition refuses is given back to the account, and the next candidates take their turn. If this process ends between
 * the two, or does not hear what came of the second, the account's charge stays until it expires: it is given back then
 * if the tenant's partition knows nothing of it. So there may be less room than there should be until then, never more.
 */
export class SharedTake {
  readonly #deps: SharedTakeDeps;
  readonly #request: TakeRequest;
  readonly #groups: Group[];
  readonly #giveUpAt: number;
  /** Gates for which candidates were passed over so far. */
  readonly #closed: ClosedGate[] = [];
  /** How models failed in this run. */
  #failed: Readonly<Record<string, string>> = {};
  #holds = 0;

  constructor(deps: SharedTakeDeps, request: TakeRequest, groups: Group[]) {
    this.#deps = deps;
    this.#request = request;
    this.#groups = groups;
    this.#giveUpAt = deps.clock.monotonic() + deps.timeoutMs;
  }

  async run(): Promise<TakeResult> {
    if (await this.#isSpent()) return this.#refusal();
    for (const group of this.#groups) {
      const { account } = group;
      const result = await (account === undefined ? this.#alone(group) : this.#together(group, account));
      if (result) return this.#said(result);
    }
    return this.#refusal();
  }

  /** The run is the tenant's, and it is the account that chooses: so it is looked at before, and counted after. */
  async #isSpent(): Promise<boolean> {
    const { event, plan } = this.#request;
    const run = await this.#deps.own.run({ event, plan });
    if (!run) return false;
    this.#failed = run.failed;
    if (run.attempts < (plan.max_attempts ?? Number.POSITIVE_INFINITY)) return false;
    this.#closed.push({ gate: 'attempts', candidate: plan.candidates[0]?.model ?? '', until: MAX_AMOUNT });
    return true;
  }

  /** Candidates are asked for without leaving an event, so that a denial leaves one. */
  async #said(result: TakeResult): Promise<TakeResult> {
    const { decisionId, event, quiet } = this.#request;
    if (result.kind === 'closed' && !quiet) await this.#deps.own.deny({ decisionId, event, reason: 'revoked_key' });
    return result;
  }

  /** Candidates that are all the tenant's. */
  async #alone({ first, own }: Group): Promise<TakeResult | undefined> {
    const asked = { ...this.#request, plan: own, quiet: true, ...this.#known() };
    const { chosen, result } = await this.#deps.own.choose('take', asked);
    if (result.kind === 'taken') return this.#whole(result, [], first + chosen);
    return this.#unlessRefused(result);
  }

  /** Candidates that share with one account, one after the other for as long as the tenant's part is what is short. */
  async #together(group: Group, account: string): Promise<TakeResult | undefined> {
    const count = Math.max(1, group.shared.candidates.length);
    let candidate = -1;
    while (candidate + 1 < count && this.#deps.clock.monotonic() < this.#giveUpAt) {
      const next = candidate + 1;
      const { chosen, held } = await this.#hold(account, candidatesFrom(group.shared, next));
      if (!held) return undefined;
      candidate = next + chosen;
      const result = await this.#takeRest(group, candidate, held);
      if (result) return result;
    }
    return undefined;
  }

  async #hold(account: string, plan: Plan): Promise<{ chosen: number; held?: Held }> {
    const id = heldId(this.#request.decisionId, this.#holds++);
    const { event, fingerprint } = this.#request;
    const asked = { decisionId: id, event, fingerprint, plan, ...this.#known() };
    const { chosen, result } = await this.#deps.account(account).choose('hold', asked);
    if (result.kind !== 'taken' && result.kind !== 'refused') {
      throw new CountersUnavailable(`holding at ${account} gave ${result.kind}`);
    }
    this.#closed.push(...result.outcome.closed);
    if (result.kind === 'refused') return { chosen: 0 };
    const held = { account, id, limits: result.outcome.limits, event: heldEvent(JSON.parse(result.receipt())) };
    return { chosen, held };
  }

  async #takeRest({ first, own }: Group, candidate: number, held: Held): Promise<TakeResult | undefined> {
    const plan = candidateAlone(own, candidate);
    const shared = sharedPart(held, limitIds(this.#request.plan, first + candidate));
    try {
      const { result } = await this.#deps.own.choose('take', { ...this.#request, plan, quiet: true, shared });
      if (result.kind === 'taken') return this.#whole(result, held.limits, first + candidate);
      await this.#giveBack(held);
      return this.#unlessRefused(result);
    } catch (error) {
      // Of any other failure it is not known whether the tenant's part was taken.
      if (error instanceof RecordsFull) await this.#giveBack(held);
      throw error;
    }
  }

  #known = () => ({ failed: this.#failed, whys: whysOf(this.#closed) });

  #unlessRefused(result: TakeResult): TakeResult | undefined {
    if (result.kind !== 'refused') return result;
    this.#closed.push(...result.outcome.closed);
    return undefined;
  }

  /** An account that does not answer gives it back by itself, when the charge expires. */
  async #giveBack({ account, id }: Held): Promise<void> {
    const request = { decisionId: id, kind: 'void' as const, actual: {}, fingerprint: GIVEN_BACK };
    await this.#deps
      .account(account)
      .settle(request)
      .catch(() => {});
  }

  /** Nobody has room: how the common limits and the first candidate's stand, and the event of the denial. */
  async #refusal(): Promise<TakeResult> {
    const [{ account, own, shared }] = this.#groups as [Group];
    const { decisionId, event, fingerprint } = this.#request;
    const asked = { decisionId, event, fingerprint, plan: candidateAlone(shared, 0), refused: true as const };
    const [{ result }, atAccount] = await Promise.all([
      this.#deps.own.choose('take', { ...this.#request, plan: candidateAlone(own, 0), refused: true }),
      account === undefined ? undefined : this.#deps.account(account).choose('hold', asked),
    ]);
    const limits = atAccount?.result.kind === 'refused' ? atAccount.result.outcome.limits : [];
    return result.kind === 'refused' ? this.#whole(result, limits, 0) : result;
  }

  /** The whole of an answer: of the account and of the tenant's partition, in the order of the plan. */
  #whole<Result extends Answered>(result: Result, shared: LimitOutcome[], candidate: number): Result {
    const { outcome } = result;
    const order = limitIds(this.#request.plan, candidate);
    const closed = result.kind === 'taken' ? [...this.#closed, ...outcome.closed] : this.#closed;
    return { ...result, outcome: { ...outcome, closed, limits: inOrder([...shared, ...outcome.limits], order) } };
  }
}

/** Tells a charge that was given back from any other report. */
export const GIVEN_BACK = 'given back';

/** Of a decision's record at an account; it may take several turns there. */
export const heldId = (decisionId: string, turn: number): string => `${decisionId}/${turn}`;

/** What the tenant's partition is told of a charge at an account. */
export function sharedPart({ account, event, id, limits }: Held, order: string[]): NonNullable<OwnPart['shared']> {
  const charges: SharedCharges = { account, id, limits, order };
  return { ...(event !== '' && { limits: event }), record: JSON.stringify(charges) };
}
