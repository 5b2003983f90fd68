import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { AuditEntry } from './counters/api-keys.ts';
import type { CounterStore } from './counters/contract.ts';

const RETRY_MS = 1_000;

/** So many entries wait at most for a store that is away; what comes then is left out, and logged. */
const MAX_WAITING = 1_000;

const MAX_REASON = 1_000;

export interface AuditTrailDeps {
  store: Pick<CounterStore, 'audit'>;
  /** Tells this process from others. */
  instance: string;
  clock: Clock;
  log: Log;
}

/** What this process does by itself that an operator wants to know of later: into the store's stream, in order, when the store is there. */
export class AuditTrail {
  readonly #deps: AuditTrailDeps;
  readonly #waiting: AuditEntry[] = [];
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: AuditTrailDeps) {
    this.#deps = deps;
  }

  note(action: AuditEntry['action'], about: { target: string; reason?: string | undefined }): void {
    const { clock, instance, log } = this.#deps;
    if (this.#waiting.length >= MAX_WAITING) {
      log.error({ action, ...about }, 'too much waits for the audit');
      return;
    }
    const { reason, target } = about;
    this.#waiting.push({
      id: uuidv7({ msecs: clock.now() }),
      action,
      actor: `sidecar:${instance}`,
      target,
      ...(reason !== undefined && { reason: reason.replaceAll('\u0000', '').slice(0, MAX_REASON).toWellFormed() }),
    });
    this.#write();
  }

  /** Tries once more. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
    await this.#drain();
    const { length } = this.#waiting;
    if (length > 0) this.#deps.log.error({ entries: this.#waiting }, 'entries of the audit could not be written');
  }

  #write(): void {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
      if (this.#waiting.length === 0) return;
      this.#timer = setTimeout(() => this.#write(), RETRY_MS);
      this.#timer.unref();
    });
  }

  /** Until all is written, or the store does not take it. Never rejects. */
  async #drain(): Promise<void> {
    for (let entry = this.#waiting[0]; entry; entry = this.#waiting[0]) {
      try {
        await this.#deps.store.audit(entry);
      } catch (error) {
        this.#deps.log.debug({ err: error }, 'the audit cannot be written yet');
        return;
      }
      this.#waiting.shift();
    }
  }
}
