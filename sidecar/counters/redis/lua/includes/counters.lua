-- Counters: a hash per subject, a field per limit, read once and written once per call however many decisions use them.
-- A field's name begins with the counter's kind. Field `@x` is the instant at which the hash expires; names are
-- percent-encoded, so no limit has that field name.
local EXPIRY_SLACK_MS = 3600000
local BUCKET = '^(%d+)(:(%d+):(%d+):(%d+):(%d+):(%d+))$'
local T_TAIL, W_TAIL = digits_format(':%d:%d:%d:%d:%d'), digits_format(':%d:%d:%d')
local NONE = {}
local hashes, windows = {}, {}

local function no_counter(key, field)
  error('counter ' .. key .. ' ' .. field .. ' holds something else', 0)
end

-- What is behind what is in use of a window. It is the same for most who share a calendar, and is looked at once for all of them.
local function window_tail(tail)
  local known = windows[tail]
  if known == nil then
    local began, carried, announced = match(tail, '^:(%d+):(%d+):(%d+)$')
    known = began and { began = began, start = began + 0, carried = carried + 0, announced = announced + 0 } or false
    if known and max(known.start, known.carried, known.announced) > MAX_AMOUNT then known = false end
    windows[tail] = known
  end
  return known
end

-- One match and no call for each number: field by field it took a quarter of the whole script. What is in use is given as text as
-- well, and a state has the text of when its period `began` and of its `tail`, all behind what is in use: a take most often leaves them
-- as they are, and printing a number takes five times as long as reading it.
local function parse(key, field, stored)
  local kind = sub(field, 1, 1)
  if kind == 'w' then
    local digits, tail = match(stored, '^(%d+)(:.*)$')
    local window = digits and window_tail(tail)
    if not window or digits + 0 > MAX_AMOUNT then no_counter(key, field) end
    return {
      used = digits + 0, start = window.start, carried = window.carried, announced = window.announced, tail = tail, began = window.began,
    }, digits
  end
  if kind ~= 't' then
    local digits, tail, announced = match(stored, '^(%d+)(:(%d+))$')
    if not digits or digits + 0 > MAX_AMOUNT or announced + 0 > MAX_AMOUNT then no_counter(key, field) end
    return { used = digits + 0, announced = announced + 0, tail = tail }, digits
  end
  local digits, tail, began, rest, since, refilled, announced = match(stored, BUCKET)
  if not digits then no_counter(key, field) end
  local used, at = digits + 0, began + 0
  rest, since, refilled, announced = rest + 0, since + 0, refilled + 0, announced + 0
  if used > MAX_AMOUNT or at > MAX_AMOUNT or rest > MAX_AMOUNT or since > MAX_AMOUNT or refilled > MAX_AMOUNT or announced > MAX_AMOUNT then
    no_counter(key, field)
  end
  return {
    used = used, at = at, rest = rest, since = since, refilled = refilled, announced = announced, tail = tail, began = began,
  }, digits
end

-- All of a state that is behind what is in use.
local function print_tail(field, s)
  local kind = sub(field, 1, 1)
  if kind == 't' then return format(T_TAIL, s.at, s.rest, s.since, s.refilled, s.announced) end
  if kind == 'w' then return format(W_TAIL, s.start, s.carried, s.announced) end
  return ':' .. text(s.announced)
end

-- Reads fields of a hash that nothing was read of before. They are in the hash by their names; those have a colon, so none is taken
-- for one of the hash's own. `set` is what is to be written, fields and texts by turns, with room for two from the start.
local function read_hash(key, fields)
  local reply = redis.pcall('HMGET', key, '@x', unpack(fields))
  if reply.err then error(reply.err, 0) end
  local hash = { expires = (reply[1] or 0) + 0, needed = 0, set = { nil, nil, nil, nil }, removes = false, nil, nil }
  for i = 1, #fields do hash[fields[i]] = reply[i + 1] end
  hashes[key] = hash
  return hash
end

-- What a field of a hash holds; false if that is nothing.
local function stored_text(hash, key, field)
  local stored = hash[field]
  if stored == nil then
    stored = redis.call('HGET', key, field)
    hash[field] = stored
  end
  return stored
end

-- The state that a field of a hash holds, and what is in use as text; nil if it holds none. Whoever asks may change it. Raises a
-- string if the key or the field is not what this script wrote.
local function counter_of(hash, key, field)
  local stored = stored_text(hash, key, field)
  if stored then return parse(key, field, stored) end
end

local function read_counter(key, field)
  return counter_of(hashes[key] or read_hash(key, { field }), key, field)
end

-- `stored`: false removes the field.
local function put(hash, field, stored, forgotten)
  if forgotten > hash.needed then hash.needed = forgotten end
  if not stored then hash.removes = true end
  local set, i = hash.set, 1
  while set[i] and set[i] ~= field do i = i + 2 end
  hash[field] = stored
  set[i] = field
  set[i + 1] = stored
end

-- A bucket that is full again is removed. `digits`: what is in use, as text.
local function write_counter(key, field, state, forgotten, digits)
  local full = state.used == 0 and sub(field, 1, 1) == 't'
  put(hashes[key], field, not full and (digits or text(state.used)) .. (state.tail or print_tail(field, state)), forgotten)
end

-- What is to be set and what is to be removed.
local function parted(all)
  local set, removed = {}, {}
  for i = 1, #all, 2 do
    if all[i + 1] then
      set[#set + 1] = all[i]
      set[#set + 1] = all[i + 1]
    else
      removed[#removed + 1] = all[i]
    end
  end
  return set, removed
end

-- Writes what changed. A hash lives until all of its counters mean nothing.
local function flush_counters(now)
  for key, hash in pairs(hashes) do
    local set, removed = hash.set, NONE
    if hash.removes then set, removed = parted(set) end
    if #removed > 0 then redis.call('HDEL', key, unpack(removed)) end
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
