-- Runs: what became of the takes that one run made, as JSON {attempts, failed: {model: how its last call failed}}.
local RUN_TTL_MS = 3600000

-- Raises a string if the key holds something else.
local function read_run(key)
  local stored = redis.pcall('GET', key)
  if not stored then return { attempts = 0, failed = {} } end
  if type(stored) == 'table' then error(stored.err, 0) end
  return cjson.decode(stored)
end

local function write_run(key, run)
  redis.call('SET', key, cjson.encode(run), 'PX', text(RUN_TTL_MS))
end
