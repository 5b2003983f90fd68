import { type Call, MAX_OUTPUT } from './day.ts';
import type { Reply } from './fake-provider.ts';
import type { SimulatedSidecar } from './simulated-sidecar.ts';
import { type Client, PATIENCE_MS, pauseMs, type World } from './world.ts';

const TENANT = 'acme';
const DECISION = 'openclaw/routing/decision';

/** As many as a batch may have. */
const AHEAD = 1_000;

const inputOf = ({ estimated, model, user }: Call) => ({
  tenant_id: TENANT,
  user_id: user,
  model,
  input_tokens: estimated,
  max_output_tokens: MAX_OUTPUT,
});

/**
 * Takes nothing. A policy's answers are remembered by their input: asked for many at once, they save most decisions a message
 * to the policy's thread and back, a fifth of the time of a run.
 */
export async function askAhead(calls: readonly Call[], sidecar: Pick<SimulatedSidecar, 'post'>): Promise<void> {
  for (let from = 0; from < calls.length; from += AHEAD) {
    const inputs = Object.fromEntries(calls.slice(from, from + AHEAD).map((call) => [call.id, inputOf(call)]));
    const { status } = await sidecar.post(`/v1/batch/data/${DECISION}?dry_run=true`, { inputs });
    if (status !== 200) throw new Error(`a preview was refused with ${status}`);
  }
}

export interface WithSidecarOptions {
  world: World;
  sidecar: Pick<SimulatedSidecar, 'post'>;
  /** Whether the provider's rate-limit headers go into the reports. */
  passesHeaders: boolean;
}

/**
 * OpenClaw that asks the sidecar before each call, calls the model that it says, and reports how that went. Who is denied asks
 * again when the sidecar says, with growing pauses.
 */
export function openClawWithSidecar({ passesHeaders, sidecar, world }: WithSidecarOptions): Client {
  const { tally, timeline } = world;
  const report = async (decisionId: string, model: string, call: Call, { headers, retryAfter, status }: Reply) => {
    const passed = passesHeaders && { headers };
    const outcome =
      status === 200
        ? { outcome: 'succeeded', usage: { input: call.input, output: call.output }, ...passed }
        : { outcome: 'failed', error: { status, retry_after: retryAfter, ...passed } };
    const { body, status: code } = await sidecar.post('/v1/usage', {
      decision_id: decisionId,
      tenant_id: TENANT,
      model,
      ...outcome,
    });
    if (code !== 200) throw new Error(`a report was refused: ${JSON.stringify(body)}`);
  };

  return async (call) => {
    const wantedAt = timeline.now();
    let run = 0;
    for (let attempt = 1; timeline.now() - wantedAt < PATIENCE_MS; attempt++) {
      const { body, headers } = await sidecar.post(`/v1/data/${DECISION}`, {
        input: { ...inputOf(call), run_id: `${call.id}-${run}` },
      });
      const { allow, obligations, reason } = body.result;
      if (allow) {
        const model: string = obligations.force_model ?? call.model;
        const reply = await world.place(call, model, { attempt, wantedAt });
        await report(body.decision_id, model, call, reply);
        if (reply.status === 200) return;
      } else {
        if (reason !== 'provider_unavailable') throw new Error(`denied: ${JSON.stringify(body)}`);
        tally.denied += 1;
        const told = headers.get('retry-after');
        // This run may not try again: the user asks anew.
        if (told === null) run += 1;
        const longer = world.dice(call.id, 'jitter', attempt).between(1, 1.1);
        await timeline.sleep(Math.max(pauseMs(attempt), Number(told) * 1_000) * longer);
      }
    }
    tally.gaveUp += 1;
  };
}
