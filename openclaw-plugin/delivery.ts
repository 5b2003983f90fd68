import type { Entry, Sent } from './outbox.ts';
import { NoDecision, type Sidecar } from './sidecar.ts';

/** The sidecar is asked twice at most, each within this. */
const TIMEOUT_MS = 5_000;
/** These will be no other tomorrow: malformed, another's, unknown, told otherwise before, too old, too large. */
const FINAL = new Set([400, 403, 404, 409, 410, 413]);

/** Tells the sidecar what waits to be told: first the question again, where it could not be answered at its time. */
export async function deliver(sidecar: Sidecar, entry: Entry, warn: (line: string) => void): Promise<Sent> {
  let { decisionId } = entry;
  if (decisionId === undefined && entry.question) {
    try {
      const verdict = await sidecar.decide(entry.question, { timeoutMs: TIMEOUT_MS });
      if (!verdict.allow || verdict.decisionId === undefined) return refusedAfterwards(entry, verdict.reason, warn);
      decisionId = verdict.decisionId;
    } catch (error) {
      if (!(error instanceof NoDecision && FINAL.has(error.status ?? 0))) throw error;
      return refusedAfterwards(entry, error.message, warn);
    }
  }
  if (decisionId === undefined) return 'gone';
  const status = await sidecar.report(decisionId, entry.report, TIMEOUT_MS);
  if (status < 300) return 'gone';
  if (!FINAL.has(status)) return 'later';
  warn(`the sidecar does not take the usage of decision ${decisionId}: status ${status}`);
  return 'gone';
}

/** What was let through while the sidecar was away, and has no room now. What was not let through asks for none. */
function refusedAfterwards({ question, report }: Entry, reason: string, warn: (line: string) => void): Sent {
  const { input, output } = report.usage;
  if (input + output > 0) {
    warn(
      `run ${question?.run_id} was let through without a decision, and is now refused (${reason}): ${input + output} tokens are not charged`,
    );
  }
  return 'gone';
}
