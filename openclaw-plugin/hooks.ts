import type { GateResult, PluginApi, PluginLogger, ReplyPayloadSendingEvent } from 'openclaw/plugin-sdk/plugin-entry';
import type { Gate } from './gate.ts';
import type { Meter } from './meter.ts';
import type { Run, Runs } from './runs.ts';
import { UNREACHABLE } from './wording.ts';

export interface HooksDeps {
  gate: Gate;
  meter: Meter;
  runs: Runs;
  log: PluginLogger;
  settings: { onFailure: 'deny' | 'allow'; denyStyle: 'reply' | 'block'; footer: boolean; timeoutMs: number };
}

/** A question that hangs in the plugin itself is no other failure. */
const SPARE_MS = 500;

/**
 * OpenClaw's own answer to a hook that throws or hangs is not the same for each: one that answers a user is passed over,
 * one that gates refuses. So nothing leaves these, and each ends in time.
 */
export function registerGate(api: PluginApi, { gate, log, meter, runs, settings }: HooksDeps): void {
  const { denyStyle, footer, onFailure, timeoutMs } = settings;
  const within = timeoutMs + SPARE_MS;
  const guarded = guard(log, within);
  const options = { timeoutMs: within + SPARE_MS };
  if (denyStyle === 'reply') {
    const refused = onFailure === 'deny' ? UNREACHABLE : undefined;
    api.on(
      'before_agent_reply',
      async ({ cleanedBody }, ctx) => {
        const text = await guarded('before_agent_reply', () => gate.reply(cleanedBody, ctx), refused);
        return text === undefined ? undefined : { handled: true, reply: { text } };
      },
      // What runs by the clock has nobody to answer: it is refused as an error.
      { ...options, eligibleTriggers: ['user'] },
    );
  }
  api.on(
    'before_model_resolve',
    ({ prompt }, ctx) => guarded('before_model_resolve', () => gate.model(prompt, ctx), undefined),
    options,
  );
  const verdict: GateResult =
    onFailure === 'allow' ? { outcome: 'pass' } : { outcome: 'block', reason: 'no_decision', message: UNREACHABLE };
  api.on(
    'before_agent_run',
    (event, ctx) => guarded('before_agent_run', () => gate.attempt(event, ctx), verdict),
    options,
  );
  api.on('llm_output', (event) => guarded('llm_output', () => meter.output(event), undefined));
  api.on('agent_end', async ({ error, runId }, ctx) => meter.ended(runId ?? ctx.runId, error));
  api.on('model_call_ended', (event) => meter.callEnded(event));
  if (footer) api.on('reply_payload_sending', async (event) => withNotes(event, runs.known(event.runId)));
}

function guard(log: PluginLogger, withinMs: number) {
  return async <T>(hook: string, work: () => Promise<T>, otherwise: T): Promise<T> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no end after ${withinMs} ms`)), withinMs);
    });
    try {
      return await Promise.race([work(), late]);
    } catch (error) {
      log.error(`${hook} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      return otherwise;
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Under the first text of an answer, once. */
function withNotes({ kind, payload }: ReplyPayloadSendingEvent, run: Run | undefined) {
  const { isError, isFallbackNotice, text } = payload;
  if (!run?.notes || kind !== 'final' || !text || isError || isFallbackNotice) return undefined;
  const noted = { ...payload, text: `${text}\n\n${run.notes}` };
  run.notes = undefined;
  return { payload: noted };
}
