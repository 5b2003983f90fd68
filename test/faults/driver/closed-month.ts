import { usageStreamKey } from '../../../schemas/usage-stream.ts';
import { call } from './call.ts';
import type { Dice } from './dice.ts';
import type { Journal } from './journal.ts';
import { type Rig, TOKENS } from './rig.ts';

const ADMIN = { Authorization: `Bearer ${TOKENS.admin}` };
/** Closing waits for locks that a fault may hold. */
const DEADLINE_MS = 15_000;

/** A month that is over: its usage arrives late, and it is closed meanwhile. Of a tenant that does nothing else. */
export class ClosedMonth {
  readonly tenant: string;
  readonly #rig: Rig;
  readonly #journal: Journal;
  readonly #start = lastMonth(new Date());

  constructor(rig: Rig, journal: Journal, tenant: string) {
    this.#rig = rig;
    this.#journal = journal;
    this.tenant = tenant;
  }

  /** Some events of that month, as a sidecar would have written them. */
  async arrive(dice: Dice, count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const decision = `${this.tenant}-${this.#journal.late.length}`;
      const tokens = dice.between(1, 50);
      const noted = { id: `${decision}:consumed`, tokens, arrived: false };
      this.#journal.late.push(noted);
      const text = JSON.stringify(this.#event(decision, tokens, dice));
      noted.arrived = (await this.#rig.control.attempt('XADD', usageStreamKey(0), '*', 'e', text)) !== undefined;
    }
  }

  /** True once it is known to be closed, with an invoice. */
  async close(dice: Dice): Promise<boolean> {
    const { close } = this.#journal;
    const worker = dice.pick(this.#rig.workers);
    if (close.bytes !== undefined || !worker.isUp) return close.bytes !== undefined;
    const cycle = encodeURIComponent(`${this.tenant}@${new Date(this.#start).toISOString()}`);
    const closed = await call(`${worker.url}/v1/cycles/${cycle}/close`, { headers: ADMIN, deadlineMs: DEADLINE_MS });
    const invoice = 'answer' in closed ? closed.answer.body?.invoice : undefined;
    if (!invoice) return false;
    if (close.total !== undefined && close.total !== invoice.total) {
      this.#journal.violated('I5', `a closed month came to ${close.total}, and then to ${invoice.total}`);
    }
    close.invoiceId = invoice.id;
    close.total = invoice.total;
    close.bytes = await this.document();
    return close.bytes !== undefined;
  }

  /** The invoice, byte by byte; undefined if there is no answer. */
  async document(): Promise<string | undefined> {
    return this.#text(`/v1/invoices/${this.#journal.close.invoiceId}`);
  }

  /** What the running month comes to so far: all of it is late. */
  async upcoming(): Promise<string | undefined> {
    return this.#text(`/v1/invoices/upcoming?tenant_id=${this.tenant}`);
  }

  async #text(path: string): Promise<string | undefined> {
    const worker = this.#rig.workers.find(({ isUp }) => isUp);
    const got = await call(`${worker?.url}${path}`, { method: 'GET', headers: ADMIN, deadlineMs: DEADLINE_MS });
    return 'answer' in got && got.answer.status === 200 ? got.answer.text : undefined;
  }

  #event(decision: string, tokens: number, dice: Dice) {
    const at = this.#start + dice.between(1, 25) * 86_400_000;
    const amount = { amount: tokens, before: 0, after: tokens, period_start: 0 };
    return {
      v: 1,
      id: `${decision}:consumed`,
      type: 'consumed',
      decision_id: decision,
      tenant_id: this.tenant,
      limits: [{ id: 'tenant:tokens', kind: 'token_bucket', unit: 'tokens', billed: true, ...amount }],
      outcome: { granted: true, reason: 'ok' },
      count: 1,
      decided_at: at,
      at,
    };
  }
}

const lastMonth = (now: Date): number => Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1);
