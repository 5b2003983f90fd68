/** What OpenClaw says of a call, as the plugin sends it. The same goes to every system that takes it as it is. */
export const input = (caller = '{0}', promptChars = '4200'): string =>
  `{"tenant_id":"tenant_${caller}","user_id":"user_${caller}","agent_id":"main","channel":"slack",` +
  `"model":"anthropic/claude-sonnet-4-5","prompt_chars":${promptChars},"max_output_tokens":1024}`;

export const PATH = '/v1/data/openclaw/rate_limit/allow';
