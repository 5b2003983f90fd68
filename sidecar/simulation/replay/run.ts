import type { Policy } from '../../policy/policy.ts';
import { inOrder } from './in-order.ts';
import { linesOf, logFiles } from './log-files.ts';
import { type RecordedDecision, readDecision } from './recorded-decision.ts';
import { type Replayed, replay } from './replay.ts';
import { ReplayReport, type ReplaySummary } from './report.ts';

export interface RunOptions {
  policy: Policy;
  /** Decision logs, and folders of them. */
  logs: readonly string[];
  /** Epoch milliseconds: from this one on, and before that one. */
  from: number;
  to: number;
  callMs: number;
  /** USD per billed unit of a tenant, as a decimal string. */
  priceOf(tenantId: string): string;
  /** Told of every decision, in order. */
  onReplayed?(replayed: Replayed): void;
}

/** Replays what is in these logs. Throws an error that says which file cannot be read. */
export async function runReplay(options: RunOptions): Promise<ReplaySummary> {
  const { callMs, from, logs, onReplayed, policy, priceOf, to } = options;
  const report = new ReplayReport(priceOf);
  const files = await logFiles(logs);
  const decisions = inOrder(files.map((file) => decisionsOf(file, { from, to, report })));
  for await (const replayed of replay({ policy, decisions, callMs })) {
    report.add(replayed);
    onReplayed?.(replayed);
  }
  return report.summary(policy.revision);
}

async function* decisionsOf(
  file: string,
  { from, report, to }: { from: number; to: number; report: ReplayReport },
): AsyncGenerator<RecordedDecision> {
  try {
    for await (const line of linesOf(file)) {
      const decision = readDecision(line);
      if (typeof decision === 'string') report.skip(decision);
      else if (decision.at >= from && decision.at < to) yield decision;
    }
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`);
  }
}
