-- Counters: a hash per subject, a field per limit, read once and written once per call however many decisions use them.
-- A field's name begins with the counter's kind. Field `@x` is the instant at which the hash expires; names are
-- percent-encoded, so no limit has that field name.
local EXPIRY_SLACK_MS = 3600000
local MATCH = {
  t = '^(%d+)(:(%d+):(%d+):(%d+):(%d+):(%d+))$',
  w = '^(%d+)(:(%d+):(%d+):(%d+))$',
  c = '^(%d+)(:(%d+))$',
}
local hashes = {}

-- One match and no call for each number: field by field it took a quarter of the whole script. A state goes with its text as it is
-- stored, `digits` what is in use and `tail` the rest of it: a take moves the one and most often leaves the other, and printing a number
-- takes ten times as long as reading it.
local function parse(key, field, stored)
  local kind = string.sub(field, 1, 1)
  local digits, tail, b, c, d, e, f = match(stored, MATCH[kind])
  if not digits then error('counter ' .. key .. ' ' .. field .. ' holds something else', 0) end
  local a = digits + 0
  b, c, d, e, f = b + 0, (c or 0) + 0, (d or 0) + 0, (e or 0) + 0, (f or 0) + 0
  if max(a, b, c, d, e, f) > MAX_AMOUNT then error('counter ' .. key .. ' ' .. field .. ' holds something else', 0) end
  if kind == 't' then return { used = a, at = b, rest = c, since = d, refilled = e, announced = f, digits = digits, tail = tail } end
  if kind == 'w' then return { used = a, start = b, carried = c, announced = d, digits = digits, tail = tail } end
  return { used = a, announced = b, digits = digits, tail = tail }
end

local function print_state(field, s)
  local digits = s.digits or text(s.used)
  if s.tail then return digits .. s.tail end
  local kind = string.sub(field, 1, 1)
  if kind == 't' then
    return digits .. format(':%.0f:%.0f:%.0f:%.0f:%.0f', s.at, s.rest, s.since, s.refilled, s.announced)
  end
  if kind == 'w' then return digits .. format(':%.0f:%.0f:%.0f', s.start, s.carried, s.announced) end
  return digits .. ':' .. text(s.announced)
end

-- Reads fields of a hash that nothing was read of before.
local function read_hash(key, fields)
  local reply = redis.pcall('HMGET', key, '@x', unpack(fields))
  if reply.err then error(reply.err, 0) end
  local known = {}
  for i = 1, #fields do known[fields[i]] = reply[i + 1] end
  local hash = { expires = (reply[1] or 0) + 0, known = known, changed = {}, needed = 0 }
  hashes[key] = hash
  return hash
end

-- The state that a field holds, nil if none: whoever asks may change it. Raises a string if the key or the field is not what this
-- script wrote.
local function read_counter(key, field)
  local hash = hashes[key] or read_hash(key, { field })
  local stored = hash.known[field]
  if stored == nil then
    stored = redis.call('HGET', key, field)
    hash.known[field] = stored
  end
  return stored and parse(key, field, stored) or nil
end

-- A bucket that is full again is removed.
local function write_counter(key, field, state, forgotten)
  local hash = hashes[key]
  local gone = state.used == 0 and string.sub(field, 1, 1) == 't'
  hash.known[field] = not gone and print_state(field, state)
  hash.changed[field] = true
  hash.needed = max(hash.needed, forgotten)
end

-- Writes what changed. A hash lives until all of its counters mean nothing.
local function flush_counters(now)
  for key, hash in pairs(hashes) do
    local set, gone = {}, {}
    for field in pairs(hash.changed) do
      local stored = hash.known[field]
      if stored then
        set[#set + 1] = field
        set[#set + 1] = stored
      else
        gone[#gone + 1] = field
      end
    end
    if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
    if #set > 0 then
      local extended = hash.needed > hash.expires
      if extended then
        set[#set + 1] = '@x'
        set[#set + 1] = text(hash.needed + EXPIRY_SLACK_MS)
      end
      redis.call('HSET', key, unpack(set))
      if extended then redis.call('PEXPIRE', key, text(hash.needed + EXPIRY_SLACK_MS - now)) end
    end
  end
end
