import type { PluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { NOT_SET_UP } from './wording.ts';

/**
 * Where nothing can be asked at all: refuses each run, and each message of a channel before there is one. The latter works
 * without access to conversations as well, but callers over HTTP and the command line are none of a channel.
 */
export function registerRefusal(api: PluginApi): void {
  api.on('before_agent_run', async () => ({ outcome: 'block', reason: 'not_set_up', message: NOT_SET_UP }));
  api.on('before_dispatch', async () => ({ handled: true, text: NOT_SET_UP }));
}
