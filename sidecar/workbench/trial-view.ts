import type { Answer } from '../decision/answer.ts';
import { planView } from './plan-view.ts';
import { table } from './table.ts';
import { takeView } from './take-view.ts';
import type { Trial } from './trials.ts';

/** The trials for people: how they ended, and the last one with all its steps. */
export function trialsView(trials: readonly Trial[], pkg: string): string {
  const last = trials.at(-1);
  if (!last) return 'nothing was asked';
  return [...(trials.length > 1 ? [summary(trials), `Request ${trials.length}`] : []), trialView(last, pkg)].join(
    '\n\n',
  );
}

function trialView({ answer, at, input }: Trial, pkg: string): string {
  const asked = `${pkg}  ${JSON.stringify(input)}  at ${new Date(at).toISOString()}`;
  if (answer === 'conflict') return `${asked}\n\nCONFLICT  ${CONFLICT}`;
  const { failure, outcome, plan } = answer;
  return [
    `${asked}, revision ${answer.policyRevision}`,
    ...(plan ? [planView(plan), takeView(outcome)] : []),
    decisionView(answer),
    ...(failure ? [`FAILURE  ${failure.message}`] : []),
  ].join('\n\n');
}

const CONFLICT = 'another input was granted under this request_id: a sidecar answers 409';

function decisionView({ decision, replayed }: Answer): string {
  const { message, obligations, reason, status, warnings } = decision;
  return [
    `DECISION  ${decision.allow ? 'allowed' : 'denied'}: ${reason}, status ${status}${replayed ? ', as before' : ''}`,
    ...(message ? [`  ${message}`] : []),
    ...warnings.map((warning) => `  warning: ${warning}`),
    ...Object.entries(obligations).map(([name, value]) => `  ${name}: ${JSON.stringify(value)}`),
  ].join('\n');
}

/** Neighbours that ended alike are one row. */
function summary(trials: readonly Trial[]): string {
  const runs: { from: number; to: number; ended: [string, string] }[] = [];
  for (const [index, { answer }] of trials.entries()) {
    const ended = endOf(answer);
    const run = runs.at(-1);
    if (run?.ended.join() === ended.join()) run.to = index + 1;
    else runs.push({ from: index + 1, to: index + 1, ended });
  }
  const columns = [{ title: 'request' }, { title: 'decision' }, { title: 'short of' }];
  return table(
    columns,
    runs.map(({ ended, from, to }) => [from === to ? `${from}` : `${from} to ${to}`, ...ended]),
  );
}

function endOf(answer: Trial['answer']): [string, string] {
  if (answer === 'conflict') return ['conflict', ''];
  const { decision, outcome } = answer;
  const short = (outcome?.limits ?? []).filter(({ granted }) => !granted).map(({ id }) => id);
  return [decision.allow ? `allowed: ${decision.reason}` : `denied: ${decision.reason}`, short.join(', ')];
}
