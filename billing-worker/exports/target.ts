import type { InvoiceDocument } from '../invoices/document.ts';

/** A finalised invoice or credit note on its way to a target. */
export interface Delivery {
  document: InvoiceDocument;
  /** The document byte for byte. */
  text: string;
  /** This attempt is the first: nobody can have sent anything of it before. */
  first: boolean;
  /** How often the receiver has answered with an error. */
  refusals: number;
  attempts: number;
  /** When the first attempt was due: epoch milliseconds. */
  createdAt: number;
  /** What it is called there, as far as an earlier attempt came. */
  externalId: string | undefined;
  /** Keeps what it is called there before it is complete. */
  remember(externalId: string): Promise<void>;
}

/** Where invoices go. */
export interface Target {
  /** In the outbox, metrics and logs. */
  name: string;
  /** Resolves with what it is called there, where it has a name. Throws `NotSent`, or any other error for "try again". */
  send(delivery: Delivery, signal: AbortSignal): Promise<string | undefined>;
}

/** Why it was not sent, in words without secrets. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
  /** Another try would end in the same way, until somebody has mended what is wrong. */
  readonly final: boolean;
  /** The receiver has answered: it may remember that answer by the idempotency key. */
  readonly answered: boolean;

  constructor(message: string, { answered = false, final = false }: { final?: boolean; answered?: boolean } = {}) {
    super(message);
    this.final = final;
    this.answered = answered;
  }
}
