import type { Log } from '../../runtime/log.ts';
import type { SettleRequest, TakeRequest, TakeResult } from '../counters/contract.ts';
import type { Answer } from '../decision/answer.ts';
import type { DecisionRequest } from '../decision/request.ts';
import type { Policy } from '../policy/policy.ts';
import { scratchDecider } from '../simulation/scratch-decider.ts';
import { createScratchStore } from '../simulation/scratch-store.ts';
import { SimulatedClock } from '../simulation/simulated-clock.ts';
import { type Difference, differenceOf, type Verdict, verdictOf } from '../simulation/verdict.ts';
import type { ShadowCounts } from './counts.ts';
import { showLive } from './live-view.ts';
import type { SomeLines } from './some-lines.ts';

/** So many comparisons are under way at once: beyond, a decision is not compared, and counted as skipped. */
const MAX_UNDER_WAY = 256;

/** So many counters of its own are kept, 20 to 30 MB: beyond, the oldest are forgotten. */
const MAX_COUNTERS = 100_000;

export interface ShadowDeps {
  /** The policy in shadow, undefined while there is none. */
  policy: () => Policy | undefined;
  counts: ShadowCounts;
  log: Log;
  /** Of differences: more a second are only counted. */
  lines: SomeLines;
}

/**
 * A second policy beside the one in force. It answers what the other one was asked, on the counters as the other one saw
 * them, and how the two differ is counted and logged. Nothing that it says reaches a caller, the counters or the ledger, and
 * no answer waits for it.
 *
 * Counters that only the second policy has are kept here, in memory: they begin empty, and count what this process is asked.
 */
export class Shadow {
  readonly #deps: ShadowDeps;
  readonly #clock = new SimulatedClock(0);
  readonly #scratch = createScratchStore({ clock: this.#clock, maxRecords: MAX_COUNTERS });
  #underWay = 0;

  constructor(deps: ShadowDeps) {
    this.#deps = deps;
  }

  /** Compares with the answer that was given. Returns at once, and throws nothing. */
  compare(request: DecisionRequest, answer: Answer): void {
    const { counts, log } = this.#deps;
    const policy = this.#deps.policy();
    // Told again, or without the counters: there is nothing to compare with.
    if (!policy || answer.replayed || answer.degraded || answer.decision.reason === 'counters_unavailable') return;
    if (this.#underWay >= MAX_UNDER_WAY) {
      counts.skip();
      return;
    }
    this.#underWay += 1;
    this.#compared(policy, request, answer)
      .catch((error: unknown) => log.error({ err: error }, 'the shadow policy could not be compared'))
      .finally(() => {
        this.#underWay -= 1;
      });
  }

  /** The real usage of a call corrects what the shadow policy took for it, if this process decided on it. */
  settle(report: SettleRequest, at: number): void {
    this.#clock.set(at);
    void this.#scratch.store.settle(report).catch(() => {});
  }

  async #compared(policy: Policy, request: DecisionRequest, answer: Answer): Promise<void> {
    const decider = scratchDecider({
      policy,
      store: this.#scratch.store,
      clock: new SimulatedClock(answer.at),
      take: (take) => this.#take(take, answer),
    });
    // A live replay is not compared, so no shadow need be remembered by its request id.
    const other = await decider.decide({ ...request, requestId: undefined });
    if (other === 'conflict') return;
    const given = verdictOf(answer);
    const would = verdictOf(other);
    const difference = policy.metered.has(request.pkg) ? differenceOf(given, would) : 'would_fail';
    this.#deps.counts.add(difference, given, would);
    if (difference !== 'same') this.#tell(difference, { request, answer, other, given, would });
  }

  /** All of it happens at once, so that comparisons under way at the same time are not in each other's way. */
  #take(request: TakeRequest, { at, decisionId, outcome, plan }: Answer): Promise<TakeResult> {
    const { expire, state, store } = this.#scratch;
    this.#clock.set(at);
    expire();
    const tenantId = request.event.tenant_id;
    if (outcome && plan) showLive(state, { plan, outcome, tenantId, at }, request.plan);
    const taken = store.take({ ...request, decisionId });
    for (const key of state.counters.keys()) {
      if (state.counters.size <= MAX_COUNTERS) break;
      state.counters.delete(key);
    }
    return taken;
  }

  #tell(difference: Difference, { answer, given, other, request, would }: Compared): void {
    const { lines, log } = this.#deps;
    const unlogged = lines.room();
    if (unlogged === undefined) return;
    const { subject } = request;
    log.info(
      {
        difference,
        decision_id: answer.decisionId,
        package: request.pkg,
        tenant_id: subject.tenant_id,
        user_id: subject.user_id,
        model: subject.model,
        live: { revision: answer.policyRevision, ...given },
        shadow: { revision: other.policyRevision, ...would },
        ...(other.failure && { err: other.failure }),
        ...(unlogged && { unlogged }),
      },
      'the shadow policy answers differently',
    );
  }
}

interface Compared {
  request: DecisionRequest;
  answer: Answer;
  other: Answer;
  given: Verdict;
  would: Verdict;
}
