import type { PluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { NOT_SET_UP } from './wording.ts';

/** Where nothing can be asked, as the settings cannot be used: no run begins. */
export function refuseRuns(api: PluginApi): void {
  api.on('before_agent_run', async () => ({ outcome: 'block', reason: 'not_set_up', message: NOT_SET_UP }));
}

/**
 * No message of a channel becomes a run. That needs no access to conversations, so it works where OpenClaw leaves the gate
 * out; but what comes over HTTP or from the command line is no channel's message.
 */
export function refuseMessages(api: PluginApi): void {
  api.on('before_dispatch', async () => ({ handled: true, text: NOT_SET_UP }));
}
