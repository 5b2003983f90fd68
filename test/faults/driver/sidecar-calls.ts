import { type Answer, call, DEADLINE_MS } from './call.ts';
import type { Dice } from './dice.ts';
import type { Asked, Grant, Journal, Report, Verdict } from './journal.ts';
import { DECISION_PATH } from './policy.ts';
import type { Program } from './program.ts';
import { type Rig, TOKENS } from './rig.ts';

const SERVICE = { Authorization: `Bearer ${TOKENS.service}` };

/** What a run asks of its sidecars. Each answer is judged as it comes, and written into the journal. */
export class SidecarCalls {
  readonly #rig: Rig;
  readonly #journal: Journal;
  /** No answer may hold the name of another of these than the one that asks. */
  readonly #tenants: readonly string[];

  constructor(rig: Rig, journal: Journal, tenants: readonly string[]) {
    this.#rig = rig;
    this.#journal = journal;
    this.#tenants = tenants;
  }

  /** One that runs, or the first that does again. */
  async sidecar(dice: Dice): Promise<Program> {
    const running = this.#rig.sidecars.filter(({ isUp }) => isUp);
    if (running.length > 0) return dice.pick(running);
    return Promise.race(this.#rig.sidecars.map((sidecar) => sidecar.up().then(() => sidecar)));
  }

  async ask(sidecar: Program, asked: Asked): Promise<Verdict> {
    const began = performance.now();
    const answer = await this.#call(
      sidecar,
      asked.tenant,
      `/v1/data/${DECISION_PATH}`,
      { input: asked.input },
      headersOf(asked),
    );
    const verdict = this.#verdict(answer, asked);
    this.#journal.note(asked, verdict);
    const { key } = this.#journal;
    const isLate =
      asked.key !== undefined && asked.key === key?.key && began > (key.revokedAt ?? Number.POSITIVE_INFINITY) + 1_000;
    if (isLate && verdict.kind === 'granted')
      this.#journal.violated('I6', `a revoked key is let in: ${verdict.decisionId}`);
    return verdict;
  }

  async askTogether(sidecar: Program, all: Asked[]): Promise<void> {
    const [first] = all;
    if (!first) return;
    const inputs = Object.fromEntries(all.map(({ input }, index) => [`n${index}`, input]));
    const answer = await this.#call(sidecar, first.tenant, `/v1/batch/data/${DECISION_PATH}`, { inputs }, SERVICE);
    for (const [index, asked] of all.entries()) {
      const body = answer?.body?.responses?.[`n${index}`];
      const one = answer && body && { ...answer, status: 200, body };
      if (answer && !body)
        this.#journal.violated('I7', `a batch without an answer for one of its inputs: ${answer.text}`);
      this.#journal.note(asked, this.#verdict(one || undefined, asked));
    }
  }

  async dryRun(sidecar: Program, tenant: string, input: object): Promise<void> {
    const answer = await this.#call(sidecar, tenant, `/v1/data/${DECISION_PATH}?dry_run=true`, { input }, SERVICE);
    if (typeof answer?.body?.decision_id === 'string') this.#journal.dryRuns.add(answer.body.decision_id);
  }

  async report(sidecar: Program, grant: Grant, report: Report): Promise<void> {
    if (!grant.reports.includes(report)) grant.reports.push(report);
    if (report.body.outcome === 'failed') grant.asked.voidTried = true;
    const answer = await this.#call(sidecar, report.tenant, '/v1/usage', report.body, SERVICE);
    if (answer?.status === 200) {
      const { changes, state } = answer.body;
      report.outcomes.push({ kind: 'ok', state, changes: JSON.stringify(changes) });
    } else {
      report.outcomes.push({ kind: answer?.status === 409 ? 'conflict' : 'unknown' });
      this.#expectStatus(answer, [409, 500, 503], 'a report of usage');
    }
  }

  /** Somebody else's decision is none, whoever reports of it. */
  async foreignReport(sidecar: Program, { decisionId }: Grant, tenant: string): Promise<void> {
    const body = { decision_id: decisionId, tenant_id: tenant, outcome: 'succeeded', usage: { input: 1 } };
    const answer = await this.#call(sidecar, tenant, '/v1/usage', body, SERVICE);
    if (answer?.status === 200) this.#journal.violated('I6', `${tenant} settles ${decisionId}, which is another's`);
    this.#expectStatus(answer, [404, 500, 503], "a report of another tenant's usage");
  }

  async record(sidecar: Program, { decisionId, tenant }: Grant): Promise<void> {
    const answer = await this.#call(sidecar, tenant, `/v1/decisions/${decisionId}`, undefined, SERVICE, 'GET');
    this.#expectStatus(answer, [200, 404, 500, 503], 'a record');
  }

  async issueKey(sidecar: Program, tenant: string): Promise<void> {
    const admin = { Authorization: `Bearer ${TOKENS.admin}` };
    const answer = await this.#call(sidecar, tenant, '/api/admin/keys', { tenant_id: tenant }, admin);
    if (answer?.status !== 201) throw new Error(`no key was issued: ${answer?.text}`);
    this.#journal.key = { id: answer.body.id, key: answer.body.key, revokedAt: undefined };
  }

  /** Says whether it is known to be revoked. */
  async revokeKey(sidecar: Program, tenant: string): Promise<boolean> {
    const { key } = this.#journal;
    if (!key || key.revokedAt !== undefined) return true;
    const admin = { Authorization: `Bearer ${TOKENS.admin}` };
    const answer = await this.#call(sidecar, tenant, `/api/admin/keys/${key.id}/revoke`, {}, admin);
    if (answer?.status !== 200) return false;
    key.revokedAt = performance.now();
    return true;
  }

  async #call(
    sidecar: Program,
    tenant: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
    method: 'GET' | 'POST' = 'POST',
  ): Promise<Answer | undefined> {
    this.#journal.operations++;
    const { isUp, kills } = sidecar;
    const began = performance.now();
    const called = await call(`${sidecar.url}${path}`, { method, headers, ...(body !== undefined && { body }) });
    const took = performance.now() - began;
    if ('failed' in called) {
      if (isUp && sidecar.kills === kills) {
        this.#journal.violated('I7', `${path} got no answer within ${Math.round(took)} ms: ${called.failed}`);
      }
      return undefined;
    }
    const { answer } = called;
    if (took > DEADLINE_MS) this.#journal.violated('I7', `${path} took ${Math.round(took)} ms`);
    if (answer.body === undefined) this.#journal.violated('I7', `${path} answered what is no JSON: ${answer.text}`);
    for (const other of this.#tenants) {
      if (other !== tenant && answer.text.includes(other))
        this.#journal.violated('I6', `${tenant} is told of ${other}`);
    }
    return answer;
  }

  #expectStatus(answer: Answer | undefined, expected: number[], what: string): void {
    if (answer && !expected.includes(answer.status) && answer.status !== 200) {
      this.#journal.violated('I7', `${what} got ${answer.status}: ${answer.text}`);
    }
  }

  #verdict(answer: Answer | undefined, asked: Asked): Verdict {
    if (!answer) return { kind: 'unknown', why: 'no answer' };
    const { body, status } = answer;
    if (status === 409) return { kind: 'conflict' };
    if (asked.key !== undefined && (status === 401 || status === 503)) return { kind: 'refused' };
    const { decision_id: decisionId, replayed, result } = body ?? {};
    if (status !== 200 || typeof result?.allow !== 'boolean' || typeof decisionId !== 'string') {
      this.#journal.violated('I7', `a decision got ${status}: ${answer.text}`);
      return { kind: 'unknown', why: `status ${status}` };
    }
    if (!result.allow && result.reason === 'counters_unavailable') return { kind: 'unknown', why: result.reason };
    if (!result.allow && !['rate_limited', 'revoked_key'].includes(result.reason)) {
      this.#journal.violated('I7', `a decision was refused for ${result.reason}`);
    }
    if (!result.allow) return { kind: 'refused' };
    return { kind: 'granted', decisionId, replayed: replayed === true, reserved: 'estimated_tokens' in asked.input };
  }
}

const headersOf = ({ key }: Asked): Record<string, string> => (key === undefined ? SERVICE : { 'X-API-Key': key });
