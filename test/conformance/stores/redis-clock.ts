import type { createClient } from 'redis';
import type { StoreClock } from '../workbench.ts';

const KEY = 'test:clock';
const DEADLINES = 'test:deadlines';
const START = Date.parse('2026-01-01T00:00:00Z');

/** Stands in the place of the scripts' own clock, so that a test may set it. */
export const SET_CLOCK = `
local function store_time()
  return tonumber(redis.call('GET', '${KEY}'))
end
`;

/**
 * Keys expire by the server's own clock, which a test cannot set. So what is to expire is noted with the time at which it
 * would by the clock that is set, and deleted when that is reached. A test takes less than an hour, and what has a fixed
 * life lives whole hours: rounded up, the life that is left is the one that the key was given. A gate holds its own end,
 * and may have been closed for good since.
 */
const MOVE = `
local HOUR_MS = 3600000
local old, new = tonumber(ARGV[1] or 0), tonumber(ARGV[2])
for _, key in ipairs(redis.call('KEYS', 'ocr:*')) do
  local left = redis.call('PTTL', key)
  local is_gate = string.find(key, '}:g:')
  if left > 0 or is_gate then
    local at = is_gate and string.match(redis.call('GET', key), '^%d+$')
      or redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, '@x')
    if string.find(key, '}:[dqr]:') then left = math.ceil(left / HOUR_MS) * HOUR_MS end
    redis.call('HSET', '${DEADLINES}', key, at or string.format('%.0f', old + left))
    redis.call('PERSIST', key)
  end
end
local noted = redis.call('HGETALL', '${DEADLINES}')
for i = 1, #noted, 2 do
  local over = tonumber(noted[i + 1]) <= new
  if over then redis.call('DEL', noted[i]) end
  if over or redis.call('EXISTS', noted[i]) == 0 then redis.call('HDEL', '${DEADLINES}', noted[i]) end
end
redis.call('SET', '${KEY}', ARGV[2])
`;

/** The clock of a Redis whose scripts were loaded with `SET_CLOCK`. */
export async function redisClock(control: Pick<ReturnType<typeof createClient>, 'eval'>): Promise<StoreClock> {
  let now = START;
  const set = async (time: number) => {
    await control.eval(MOVE, { arguments: [String(now), String(time)] });
    now = time;
  };
  await set(now);
  return { now: () => now, set };
}
