-- Counters: a hash per subject, a field per limit, read once and written once per call however many decisions use them.
-- Field `@x` is the instant at which the hash expires. Names are percent-encoded, so no limit has that field name.
local EXPIRY_SLACK_MS = 3600000
local hashes = {}

-- The state that a field holds, nil if none. Raises a string if the key or the field is not what this script wrote.
local function read_counter(key, field)
  local hash = hashes[key]
  if not hash then
    local reply = redis.pcall('HMGET', key, '@x', field)
    if reply.err then error(reply.err, 0) end
    hash = { expires = tonumber(reply[1] or '0'), states = {}, known = {}, dirty = {} }
    hash.known[field] = reply[2]
    hashes[key] = hash
  elseif hash.known[field] == nil then
    hash.known[field] = redis.call('HGET', key, field)
  end
  if hash.states[field] then return hash.states[field] end
  local stored = hash.known[field]
  if not stored then return nil end
  local used, at, rest, since, refilled = string.match(stored, '^(%d+):(%d+):(%d+):(%d+):(%d+)$')
  if not used then error('counter ' .. key .. ' ' .. field .. ' holds something else', 0) end
  hash.states[field] = {
    used = tonumber(used), at = tonumber(at), rest = tonumber(rest),
    since = tonumber(since), refilled = tonumber(refilled),
  }
  return hash.states[field]
end

local function write_counter(key, field, state)
  hashes[key].states[field] = state
  hashes[key].dirty[field] = state
end

-- Writes what changed. A counter that is full again is removed; a hash lives until all of its counters could only be full.
local function flush_counters(rules, now)
  for key, hash in pairs(hashes) do
    local set, gone, empty_at = {}, {}, 0
    for field, state in pairs(hash.dirty) do
      if state.used == 0 then
        gone[#gone + 1] = field
      else
        set[#set + 1] = field
        set[#set + 1] = table.concat({
          text(state.used), text(state.at), text(state.rest), text(state.since), text(state.refilled),
        }, ':')
        empty_at = math.max(empty_at, now + refill_time(state, rules[key .. ' ' .. field], now, state.used))
      end
    end
    if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
    if #set > 0 then
      if empty_at > hash.expires then
        set[#set + 1] = '@x'
        set[#set + 1] = text(empty_at + EXPIRY_SLACK_MS)
      end
      redis.call('HSET', key, unpack(set))
      if empty_at > hash.expires then redis.call('PEXPIRE', key, text(empty_at + EXPIRY_SLACK_MS - now)) end
    end
  end
end
