import type { StoreClock } from '../workbench.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

/** Stands in the place of the scripts' own clock. Each partition has one, in its own slot. */
export const SET_CLUSTER_CLOCK = `
local function store_time()
  return tonumber(redis.call('GET', 'test:clock:' .. string.match(KEYS[1], '%b{}')))
end
`;

/**
 * Sets the clocks of all partitions that a node has, and deletes what is over by then, as `redis-clock.ts` does it. Not a
 * script of the kind that keeps to one slot; what another node has is passed over.
 */
const MOVE = `
local HOUR_MS = 3600000
local old, new = tonumber(ARGV[1]), tonumber(ARGV[2])
for _, key in ipairs(redis.call('KEYS', 'ocr:*')) do
  local left = redis.call('PTTL', key)
  local is_gate = string.find(key, '}:g:')
  if left > 0 or is_gate then
    local at = is_gate and string.match(redis.call('GET', key), '^%d+$')
      or redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, '@x')
    if string.find(key, '}:[dqr]:') then left = math.ceil(left / HOUR_MS) * HOUR_MS end
    redis.call('HSET', 'test:deadlines:' .. string.match(key, '%b{}'), key, at or string.format('%.0f', old + left))
    redis.call('PERSIST', key)
  end
end
for i = 3, #ARGV do
  local deadlines = 'test:deadlines:' .. ARGV[i]
  local noted = redis.pcall('HGETALL', deadlines)
  if not noted.err then
    for each = 1, #noted, 2 do
      local over = tonumber(noted[each + 1]) <= new
      if over then redis.call('DEL', noted[each]) end
      if over or redis.call('EXISTS', noted[each]) == 0 then redis.call('HDEL', deadlines, noted[each]) end
    end
    redis.call('SET', 'test:clock:' .. ARGV[i], ARGV[2])
  end
end
`;

/** The clock of a cluster whose scripts were loaded with `SET_CLUSTER_CLOCK`. `sendAll` asks each of its nodes. */
export async function clusterClock(
  sendAll: (command: string[]) => Promise<unknown>,
  tags: string[],
): Promise<StoreClock> {
  let now = START;
  const set = async (time: number) => {
    await sendAll(['EVAL', MOVE, '0', String(now), String(time), ...tags]);
    now = time;
  };
  await set(now);
  return { now: () => now, set };
}
