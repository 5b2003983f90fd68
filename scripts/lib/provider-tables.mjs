/** @typedef {{ model: string, state: string, until?: string, why?: string, nth?: number }} Model */
/** @typedef {{ id: string, unit: string, window_s?: number, capacity: number, used: number, remaining: number, reset_at: string }} Limit */
/** @typedef {{ account: string, provider: string, tier?: string, models: Model[], limits: Limit[] }} Account */

/** A person must tell at a glance what to wait for. @type {Record<string, string>} */
const STATES = {
  available: 'available',
  cooldown: 'COOLDOWN',
  quota_exhausted: 'QUOTA EXHAUSTED',
  circuit_open: 'CIRCUIT OPEN',
  half_open: 'half open',
};

/**
 * Provider accounts as text: their models with what keeps them out and for how long still, and their limits.
 * @param {Account[]} accounts
 * @param {number} now epoch milliseconds
 */
export async function accountTables(accounts, now) {
  if (accounts.length === 0) return 'no provider account is named in config/providers.yaml';
  const { default: Table } = await import('cli-table3');
  const plain = { style: { head: [], border: [] } };
  const parts = accounts.map(({ account, limits, models, provider, tier }) => {
    const states = new Table({ ...plain, head: ['model', 'state', 'for', 'why'] });
    for (const { model, nth, state, until, why = '' } of models) {
      const times = nth !== undefined && nth > 1 ? ` (${nth} times in a row)` : '';
      states.push([
        model,
        STATES[state] ?? state,
        until === undefined ? '' : inWords(Date.parse(until) - now),
        why + times,
      ]);
    }
    const counted = new Table({ ...plain, head: ['limit', 'used', 'of', 'left', 'whole again in'] });
    for (const { capacity, id, remaining, reset_at, used } of limits) {
      counted.push([id, used, capacity, remaining, used === 0 ? '' : inWords(Date.parse(reset_at) - now)]);
    }
    const title = `${account} (${provider}${tier === undefined ? '' : `, tier ${tier}`})`;
    return [
      title,
      models.length ? states.toString() : 'no model of it is known',
      limits.length ? counted.toString() : '',
    ];
  });
  return parts.map((lines) => lines.filter(Boolean).join('\n')).join('\n\n');
}

/** @param {number} ms */
function inWords(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
