import { join } from 'node:path';
import type { Clock } from '../../runtime/clock.ts';
import type { Environment } from '../../runtime/config/environment.ts';
import type { Log } from '../../runtime/log.ts';
import { Rarely } from '../../runtime/rarely.ts';
import { ConsoleSink } from './console-sink.ts';
import { DecisionLogCounts } from './counts.ts';
import { DecisionLog } from './decision-log.ts';
import { FileSink } from './file-sink.ts';
import { HttpSink } from './http-sink.ts';
import { LogPolicy } from './log-policy.ts';
import type { Sink } from './sink.ts';

export interface OpenOptions {
  environment: Environment;
  /** `id` and `version` of this process, as in OPA; `DECISION_LOG_LABELS` go beside them. */
  labels: { id: string; version: string };
  /** The number of this process among those that share a port. Each has folders of its own. */
  worker?: number | undefined;
  clock: Clock;
  log: Log;
}

/** What `/metrics` says of it. */
export interface OpenDecisionLog {
  decisionLog: DecisionLog;
  http: HttpSink | undefined;
}

/** As the environment says; undefined where `DECISION_LOGS` is not set. Throws `ConfigError`. */
export async function openDecisionLog(options: OpenOptions): Promise<OpenDecisionLog | undefined> {
  const { clock, environment, log } = options;
  const { DECISION_LOGS: kinds, DECISION_LOG_CONTENT: content } = environment;
  if (!kinds) return undefined;
  const counts = new DecisionLogCounts();
  const http = kinds.includes('http') ? await openHttp(options, counts) : undefined;
  const sinks: Sink[] = http ? [http] : [];
  if (kinds.includes('file')) sinks.push(await openFile(options, counts));
  if (kinds.includes('console')) sinks.push(new ConsoleSink(log, counts));
  if (content === 'full') {
    log.warn('DECISION_LOG_CONTENT=full: decisions are logged with all of their input, also what may be a prompt');
  }
  const labels = { ...environment.DECISION_LOG_LABELS, ...options.labels };
  const rarely = new Rarely(clock);
  const policy = new LogPolicy({ labels, content, counts, log, complain: () => rarely.due() });
  return { decisionLog: new DecisionLog({ policy, content, sinks, counts, clock, log }), http };
}

/** The first has the folders of one that is alone. */
const ownFolder = (name: string, { environment, worker = 1 }: OpenOptions) =>
  join(environment.DATA_DIR, 'decision-logs', worker === 1 ? name : `${name}-${worker}`);

function openHttp(options: OpenOptions, counts: DecisionLogCounts): Promise<HttpSink> {
  const { clock, environment, log } = options;
  const { DECISION_LOG_URL: url = '', DECISION_LOG_TOKEN: token } = environment;
  if (token !== undefined && url.startsWith('http:')) {
    log.warn('DECISION_LOG_TOKEN is sent without encryption, because DECISION_LOG_URL begins with http:');
  }
  return HttpSink.open({
    root: ownFolder('spool', options),
    maxBytes: environment.DECISION_LOG_SPOOL_BYTES,
    upload: {
      url,
      token,
      maxBytes: environment.DECISION_LOG_UPLOAD_BYTES,
      timeoutMs: environment.DECISION_LOG_TIMEOUT_MS,
    },
    counts,
    clock,
    log,
  });
}

function openFile(options: OpenOptions, counts: DecisionLogCounts): Promise<FileSink> {
  const { clock, environment, log } = options;
  const rarely = new Rarely(clock);
  return FileSink.open({
    folder: ownFolder('files', options),
    maxBytes: environment.DECISION_LOG_FILE_BYTES,
    maxFiles: environment.DECISION_LOG_FILES,
    counts,
    complain: (error) => {
      if (rarely.due()) log.error({ err: error }, 'the decision log cannot be written to its file');
    },
  });
}
