/** What the driver knows: what it asked for, and what it was told. */

/** How one attempt was answered. */
export type Verdict =
  | { kind: 'granted'; decisionId: string; replayed: boolean; reserved: boolean }
  | { kind: 'refused' }
  | { kind: 'conflict' }
  /** No answer, or one that leaves open whether it was taken. */
  | { kind: 'unknown'; why: string };

/** One request for a decision, which may be made several times. */
export interface Asked {
  tenant: string;
  input: Record<string, unknown>;
  requestId: string | undefined;
  /** By whose API key, if not by the service. */
  key: string | undefined;
  verdicts: Verdict[];
  /** The answer when all was well again. */
  final: Verdict | undefined;
  /** Somebody may have given it back: then its id may be granted anew. */
  voidTried: boolean;
}

export interface Report {
  body: Record<string, unknown>;
  tenant: string;
  /** `ok`: with the changes as they were told. */
  outcomes: ({ kind: 'ok'; state: string; changes: string } | { kind: 'conflict' | 'unknown' })[];
}

export interface Grant {
  decisionId: string;
  tenant: string;
  asked: Asked;
  /** Of `tokens` in the user's month; undefined where nothing is to be settled. */
  estimate: number | undefined;
  reports: Report[];
}

export interface KeyState {
  key: string;
  id: string;
  /** Of the monotonic clock: from then on it is refused everywhere. */
  revokedAt: number | undefined;
}

export interface CloseState {
  /** When it was answered the first time: the document, byte by byte, and its id. */
  invoiceId: string | undefined;
  total: string | undefined;
  bytes: string | undefined;
}

export class Journal {
  readonly asked: Asked[] = [];
  readonly grants = new Map<string, Grant>();
  readonly dryRuns = new Set<string>();
  /** Stream entries that were written to be put aside: a text that is in each of them, and whether it surely arrived. */
  readonly poisons: { mark: string; arrived: boolean }[] = [];
  /** Events of a month that is over, which were put into the stream by hand, and whether they surely arrived. */
  readonly late: { id: string; tokens: number; arrived: boolean }[] = [];
  readonly close: CloseState = { invoiceId: undefined, total: undefined, bytes: undefined };
  key: KeyState | undefined;
  /** What was seen to be wrong at once. */
  readonly violations: string[] = [];
  readonly faults: string[] = [];
  operations = 0;

  violated(invariant: string, what: string): void {
    this.violations.push(`${invariant}: ${what}`);
  }

  note(asked: Asked, verdict: Verdict): void {
    asked.verdicts.push(verdict);
    if (verdict.kind !== 'granted' || this.grants.has(verdict.decisionId)) return;
    const { estimated_tokens: estimate } = asked.input;
    this.grants.set(verdict.decisionId, {
      decisionId: verdict.decisionId,
      tenant: asked.tenant,
      asked,
      estimate: typeof estimate === 'number' ? estimate : undefined,
      reports: [],
    });
  }

  get reserved(): Grant[] {
    return [...this.grants.values()].filter(({ estimate }) => estimate !== undefined);
  }
}
