-- The health of the models of a provider account: a hash, a field each by the model's name, as JSON {v, limited, limited_at,
-- limited_until, limited_by, failures, failed_at, opens, opened_at, open_until}. A member that does not apply is not there.
--   limited   rate limits in a row, the last of them at limited_at; the model cools down until limited_until, as limited_by says:
--             retry_after (the provider's word), backoff (ours) or quota (the provider's: a quota is used up)
--   failures  failures in a row while the circuit is closed, the last of them at failed_at
--   opens     how often the circuit was opened in a row, the last time at opened_at, until open_until: one probe at a time then
local HEALTH_TTL_MS = 30 * 86400000

-- What is known of a model. Raises a string if the key or the field is not what these scripts wrote.
local function read_health(key, model)
  local stored = redis.pcall('HGET', key, model)
  if not stored then return { v = 1 } end
  if type(stored) == 'table' then error(stored.err, 0) end
  local health = cjson.decode(stored)
  if health.v ~= 1 then error('the health of ' .. model .. ' is of version ' .. tostring(health.v) .. '; this is version 1', 0) end
  return health
end

local function write_health(key, model, health)
  if health.limited or health.failures or health.opens then
    redis.call('HSET', key, model, cjson.encode(health))
    redis.call('PEXPIRE', key, text(HEALTH_TTL_MS))
  else
    redis.call('HDEL', key, model)
  end
end
