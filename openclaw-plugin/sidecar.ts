import type { Estimate } from './estimate.ts';
import type { Who } from './identity.ts';
import type { Settings } from './settings.ts';

/** What the sidecar is asked. Never a word of the conversation. */
export interface Question extends Who, Partial<Estimate> {
  model: string;
  run_id?: string;
  /** The same question with the same id is charged once. */
  request_id: string;
}

export interface Verdict {
  allow: boolean;
  /** Undefined: nothing can be reported for it. */
  decisionId: string | undefined;
  reason: string;
  message: string;
  warnings: string[];
  footer: string;
  /** `provider/model` that must be used. */
  forceModel: string | undefined;
}

export interface UsageReport {
  tenant_id?: string;
  outcome: 'succeeded' | 'failed' | 'cancelled';
  model: string;
  usage: { input: number; output: number; cache_read: number; cache_write: number; reasoning?: number };
  error?: { status?: number; type: string; retry_after?: number };
}

/** No decision could be had. `maybeTaken`: the sidecar may have made one all the same, and charged it. */
export class NoDecision extends Error {
  readonly maybeTaken: boolean;
  /** Undefined: nobody answered. */
  readonly status: number | undefined;

  constructor(message: string, { maybeTaken, status }: { maybeTaken: boolean; status?: number }) {
    super(message);
    this.maybeTaken = maybeTaken;
    this.status = status;
  }
}

interface Answer {
  status: number;
  body: unknown;
}

type Address = Pick<Settings, 'endpoint' | 'usageEndpoint' | 'bearer'>;

/** The few routes of a policy decision sidecar, or of any server with OPA's Data API, that the plugin calls. */
export class Sidecar {
  readonly #address: Address;
  readonly #fetch: typeof fetch;

  constructor(address: Address, fetcher: typeof fetch = fetch) {
    this.#address = address;
    this.#fetch = fetcher;
  }

  /** Throws `NoDecision`. `dryRun`: nothing is charged, and nothing of it is kept. */
  async decide(
    question: Question,
    { dryRun = false, timeoutMs }: { dryRun?: boolean; timeoutMs: number },
  ): Promise<Verdict> {
    const { endpoint } = this.#address;
    const deadline = AbortSignal.timeout(Math.max(1, timeoutMs));
    const whole = new URL(endpoint.href.replace(/\/allow(?=$|\?)/, '/decision'));
    if (dryRun) whole.searchParams.set('dry_run', 'true');
    const verdict = verdictOf(await this.#decision(whole, question, deadline));
    if (verdict) return verdict;
    // A policy of OPA that knows yes and no alone. The sidecar always has the whole decision.
    const plain =
      whole.pathname === endpoint.pathname ? undefined : verdictOf(await this.#decision(endpoint, question, deadline));
    if (plain) return plain;
    throw new NoDecision(`${endpoint.origin} answered without a decision`, { maybeTaken: true });
  }

  /** Resolves with the status; rejects where nobody answers in time. */
  async report(decisionId: string, report: UsageReport, timeoutMs: number): Promise<number> {
    const body = { decision_id: decisionId, ...report };
    return (await this.#post(this.#address.usageEndpoint, body, AbortSignal.timeout(timeoutMs))).status;
  }

  /** Undefined where usage can be reported, else why not: a sidecar says of a decision that there is none in its own words. */
  async usageProblem(timeoutMs: number): Promise<string | undefined> {
    const { usageEndpoint } = this.#address;
    const body = { decision_id: 'self-test', outcome: 'cancelled', model: 'self-test' };
    try {
      const answer = await this.#post(usageEndpoint, body, AbortSignal.timeout(timeoutMs));
      return answer.status === 404 && textIn(answer.body, 'code') !== '' ? undefined : `it answered ${answer.status}`;
    } catch (error) {
      return reasonOf(error);
    }
  }

  /** Tells the sidecar whether its decisions are obeyed here. Resolves with the status. */
  async present(state: object, timeoutMs: number): Promise<number> {
    return (await this.#post(new URL('/v1/peps', this.#address.usageEndpoint), state, AbortSignal.timeout(timeoutMs)))
      .status;
  }

  async #decision(address: URL, input: Question, deadline: AbortSignal): Promise<Answer> {
    let answer: Answer;
    try {
      answer = await this.#twice(() => this.#post(address, { input }, deadline));
    } catch (error) {
      throw new NoDecision(`${address.origin}: ${reasonOf(error)}`, { maybeTaken: !neverArrived(error) });
    }
    if (answer.status === 200) return answer;
    const said = messageOf(answer.body);
    throw new NoDecision(`${address.origin} answered ${answer.status}${said && `: ${said}`}`, {
      maybeTaken: answer.status >= 500,
      status: answer.status,
    });
  }

  /** A sidecar that was started anew has closed the connection that is kept. The same question twice is charged once. */
  #twice(post: () => Promise<Answer>): Promise<Answer> {
    return post().catch((error) => (BROKEN.has(codeOf(error)) ? post() : Promise.reject(error)));
  }

  async #post(address: URL, body: object, signal: AbortSignal): Promise<Answer> {
    const { bearer } = this.#address;
    const headers = { 'Content-Type': 'application/json', ...(bearer && { Authorization: `Bearer ${bearer}` }) };
    const response = await this.#fetch(address, { method: 'POST', headers, body: JSON.stringify(body), signal });
    return { status: response.status, body: parsed(await response.text()) };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;

const textIn = (value: unknown, name: string): string => {
  const found = field(value, name);
  return typeof found === 'string' ? found : '';
};

/** Undefined for what is no decision. */
function verdictOf({ body }: Answer): Verdict | undefined {
  const result = field(body, 'result');
  const decisionId = textIn(body, 'decision_id') || undefined;
  const allow = typeof result === 'boolean' ? result : field(result, 'allow');
  if (typeof allow !== 'boolean') return undefined;
  const warnings = field(result, 'warnings');
  const obligations = field(result, 'obligations');
  return {
    allow,
    decisionId,
    reason: textIn(result, 'reason'),
    message: textIn(result, 'message'),
    warnings: Array.isArray(warnings) ? warnings.filter((each) => typeof each === 'string') : [],
    footer: textIn(obligations, 'footer'),
    forceModel: textIn(obligations, 'force_model') || undefined,
  };
}

const messageOf = (body: unknown) => textIn(body, 'message').slice(0, 200);

const NEVER_ARRIVED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);
const codeOf = (error: unknown) => textIn(field(error, 'cause'), 'code');
const neverArrived = (error: unknown) => NEVER_ARRIVED.has(codeOf(error));

function reasonOf(error: unknown): string {
  if (textIn(error, 'name') === 'TimeoutError') return 'no answer in time';
  return codeOf(error) || textIn(field(error, 'cause'), 'message') || String(error);
}
