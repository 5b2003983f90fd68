import type { Log } from '../../runtime/log.ts';
import type { JobResult } from '../policy/protocol.ts';
import type { DecisionLogCounts } from './counts.ts';
import { type DecisionEvent, type Entry, fullEvent } from './event.ts';
import { knownContent } from './known-content.ts';
import { applyMask, MaskError } from './mask.ts';

const DROP = 'system/log/drop';
const MASK = 'system/log/mask';

/** An evaluator that nobody waits for but the log. */
export interface SpareEvaluator {
  evaluate(entrypoint: string, input: string): Promise<JobResult>;
  close(): Promise<void>;
}

/** What the log needs of a policy. */
export interface LogPolicySource {
  isEntrypoint(path: string): boolean;
  /** The same policy in a thread of its own. The caller closes it. */
  spare(): Promise<SpareEvaluator>;
}

export const hasLogPolicy = (policy: LogPolicySource): boolean =>
  policy.isEntrypoint(DROP) || policy.isEntrypoint(MASK);

export interface LogPolicyOptions {
  labels: Record<string, string>;
  /** `known`: only what has a meaning to the sidecar; `full`: everything, as OPA does. */
  content: 'known' | 'full';
  counts: DecisionLogCounts;
  log: Log;
  /** At most once a minute: with a broken policy this comes with every decision. */
  complain: () => boolean;
}

/**
 * Makes the events as they are written: dropped by `system.log.drop`, restricted to what is known, and masked by
 * `system.log.mask`, both evaluated on the whole event as OPA does, in a thread that no decision waits for. What cannot be
 * masked is written without its content.
 */
export class LogPolicy {
  readonly #options: LogPolicyOptions;
  #of: LogPolicySource | undefined;
  #spare: Promise<SpareEvaluator> | undefined;
  #closed = false;

  constructor(options: LogPolicyOptions) {
    this.#options = options;
  }

  /** In the order of the entries, without those that the policy drops. Does not throw. */
  async events(entries: readonly Entry[]): Promise<DecisionEvent[]> {
    const events: DecisionEvent[] = [];
    // One message carries those of one policy; another one comes with a reload.
    for (let start = 0; start < entries.length; ) {
      const policy = entries[start]?.policy;
      const end = entries.findIndex((entry, index) => index > start && entry.policy !== policy);
      const same = entries.slice(start, end < 0 ? entries.length : end);
      const evaluator = await this.#evaluatorOf(same);
      for (const event of await Promise.all(same.map((entry) => this.#event(entry, evaluator)))) {
        if (event) events.push(event);
      }
      start += same.length;
    }
    return events;
  }

  /** What is evaluated comes out without its content. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#end();
  }

  async #end(): Promise<void> {
    const spare = this.#spare;
    this.#of = undefined;
    this.#spare = undefined;
    await spare?.then(
      (evaluator) => evaluator.close(),
      () => {},
    );
  }

  /** Undefined where the policy says nothing of logs, or its thread cannot be started. */
  async #evaluatorOf([first]: readonly Entry[]): Promise<SpareEvaluator | undefined> {
    if (!first || !hasLogPolicy(first.policy) || this.#closed) return undefined;
    if (this.#of !== first.policy) {
      await this.#end();
      this.#of = first.policy;
      this.#spare = first.policy.spare();
    }
    try {
      return await this.#spare;
    } catch (error) {
      this.#of = undefined;
      this.#failed({ err: error }, 'has no thread to run in');
      return undefined;
    }
  }

  async #event(entry: Entry, evaluator: SpareEvaluator | undefined): Promise<DecisionEvent | undefined> {
    const { content, labels } = this.#options;
    const full = fullEvent(entry, labels);
    const event = content === 'full' ? full : knownContent(full);
    if (!hasLogPolicy(entry.policy)) return event;
    if (!evaluator) return this.#withoutContent(event);
    const text = JSON.stringify(full);
    const value = async (entrypoint: string) =>
      entry.policy.isEntrypoint(entrypoint) ? documentOf(await evaluator.evaluate(entrypoint, text)) : undefined;
    try {
      const [drop, mask] = await Promise.all([value(DROP), value(MASK)]);
      if (drop === true) {
        this.#options.counts.drop('policy');
        return undefined;
      }
      if (mask !== undefined) applyMask(event, mask);
      return event;
    } catch (error) {
      // What a built-in says of its failure may quote its argument.
      const why = error instanceof MaskError || content === 'full' ? (error as Error).message : 'cannot be evaluated';
      this.#failed({}, why);
      return this.#withoutContent(event);
    }
  }

  #withoutContent(event: DecisionEvent): DecisionEvent {
    this.#options.counts.maskFailures += 1;
    const { error, input: _, openclaw: __, result: ___, masked: ____, ...rest } = event;
    const erased = (['input', 'result', 'openclaw'] as const).filter((part) => Object.hasOwn(event, part));
    return { ...rest, ...(error && { error: { code: error.code } }), erased: erased.map((part) => `/${part}`) };
  }

  #failed(about: object, why: string): void {
    if (!this.#options.complain()) return;
    this.#options.log.error(
      about,
      `decisions are logged without input and result, because the policy's system.log ${why}`,
    );
  }
}

function documentOf(result: JobResult): unknown {
  if (!result.ok) throw new Error(`fails: ${result.message}`);
  return result.value;
}
