import type { Evaluated } from './evaluate.ts';
import { explain } from './explain.ts';
import { NO_OPTIONS, type Options } from './options.ts';
import { text } from './reply.ts';

interface Warning {
  code: 'api_usage_warning';
  message: string;
}

/** What of a request took how long, in milliseconds. */
export interface Timing {
  parse: number;
  evaluate: number;
  handle: number;
}

/** The answer of OPA's Data API, version 1. Ours beside it: `replayed` and `degraded`, where they are true. */
export function answerBody(
  { answer, decisionId, policyRevision, result }: Evaluated,
  options: Options,
  { inputMissing, timing, version }: { inputMissing: boolean; timing: Timing | undefined; version: string },
): object {
  // What is undefined JSON leaves out.
  return {
    decision_id: decisionId,
    provenance: options.provenance ? provenance(version, policyRevision) : undefined,
    explanation: options.explain && (answer ? explain(answer, options.pretty) : []),
    metrics: options.metrics && timing ? timers(timing) : undefined,
    result,
    replayed: answer?.replayed || undefined,
    degraded: answer?.degraded || undefined,
    warning: warningOf(options, inputMissing, answer !== undefined),
  };
}

/** The text of an answer for who asks for nothing beside it: of most of them there is an id, yes or no, and nothing more to say. */
export function answerText(evaluated: Evaluated, more: Parameters<typeof answerBody>[2]): string {
  const { answer, decisionId, result } = evaluated;
  const isUsual = answer && !answer.replayed && !answer.degraded && !more.inputMissing && typeof result === 'boolean';
  if (isUsual) return `{"decision_id":${JSON.stringify(decisionId)},"result":${result}}\n`;
  return text(answerBody(evaluated, NO_OPTIONS, more));
}

/** Which program and which policy answered. What OPA says of its own build is empty, as in an OPA built from source. */
const provenance = (version: string, revision: string) => ({
  version,
  build_commit: '',
  build_timestamp: '',
  build_hostname: '',
  bundles: { policy: { revision } },
});

const timers = ({ evaluate, handle, parse }: Timing) => ({
  timer_rego_input_parse_ns: nanoseconds(parse),
  timer_rego_query_eval_ns: nanoseconds(evaluate),
  timer_server_handler_ns: nanoseconds(handle),
});

const nanoseconds = (milliseconds: number) => Math.round(milliseconds * 1e6);

/** There is room for one warning: what the answer may be wrong for comes before what it lacks. */
function warningOf(options: Options, inputMissing: boolean, isMetered: boolean): Warning | undefined {
  if (inputMissing) return warning("'input' key missing from the request");
  if (options.strictBuiltinErrors) {
    return warning("'strict-builtin-errors' has no effect: in a compiled policy a call that fails is undefined");
  }
  if (options.explain && options.explain !== 'notes' && !isMetered) {
    return warning("'explain' has nothing to tell: a compiled policy leaves no trace of its evaluation");
  }
  return undefined;
}

const warning = (message: string): Warning => ({ code: 'api_usage_warning', message });
