-- Counters: a hash per subject, a field per limit, read once and written once per call however many decisions use them.
-- A field's name begins with the counter's kind. Field `@x` is the instant at which the hash expires; names are
-- percent-encoded, so no limit has that field name.
local EXPIRY_SLACK_MS = 3600000
local MATCH = {
  t = '^(%d+)(:(%d+):(%d+):(%d+):(%d+):(%d+))$',
  w = '^(%d+)(:(%d+):(%d+):(%d+))$',
  c = '^(%d+)(:(%d+))$',
}
local T_TAIL, W_TAIL = digits_format(':%d:%d:%d:%d:%d'), digits_format(':%d:%d:%d')
local NONE = {}
local hashes = {}

-- One match and no call for each number: field by field it took a quarter of the whole script. What is in use is given as text as
-- well, and a state has the text of when its period `began` and of its `tail`, all behind what is in use: a take most often leaves them
-- as they are, and printing a number takes five times as long as reading it.
local function parse(key, field, stored)
  local kind = string.sub(field, 1, 1)
  local digits, tail, b, c, d, e, f = match(stored, MATCH[kind])
  if not digits then error('counter ' .. key .. ' ' .. field .. ' holds something else', 0) end
  local a = digits + 0
  local n = b + 0
  c, d, e, f = (c or 0) + 0, (d or 0) + 0, (e or 0) + 0, (f or 0) + 0
  if max(a, n, c, d, e, f) > MAX_AMOUNT then error('counter ' .. key .. ' ' .. field .. ' holds something else', 0) end
  if kind == 't' then return { used = a, at = n, rest = c, since = d, refilled = e, announced = f, tail = tail, began = b }, digits end
  if kind == 'w' then return { used = a, start = n, carried = c, announced = d, tail = tail, began = b }, digits end
  return { used = a, announced = n, tail = tail }, digits
end

-- All of a state that is behind what is in use.
local function print_tail(field, s)
  local kind = string.sub(field, 1, 1)
  if kind == 't' then return format(T_TAIL, s.at, s.rest, s.since, s.refilled, s.announced) end
  if kind == 'w' then return format(W_TAIL, s.start, s.carried, s.announced) end
  return ':' .. text(s.announced)
end

-- Reads fields of a hash that nothing was read of before. They are in the hash by their names; those have a colon, so none is taken
-- for one of the hash's own. `set` is what is to be written, fields and texts by turns, with room for two from the start.
local function read_hash(key, fields)
  local reply = redis.pcall('HMGET', key, '@x', unpack(fields))
  if reply.err then error(reply.err, 0) end
  local hash = { expires = (reply[1] or 0) + 0, needed = 0, set = { nil, nil, nil, nil }, removes = false }
  for i = 1, #fields do hash[fields[i]] = reply[i + 1] end
  hashes[key] = hash
  return hash
end

-- The state that a field holds, and what is in use as text; nil if it holds none. Whoever asks may change it. Raises a string if the
-- key or the field is not what this script wrote.
local function read_counter(key, field)
  local hash = hashes[key] or read_hash(key, { field })
  local stored = hash[field]
  if stored == nil then
    stored = redis.call('HGET', key, field)
    hash[field] = stored
  end
  if stored then return parse(key, field, stored) end
end

-- A bucket that is full again is removed. `digits`: what is in use, as text.
local function write_counter(key, field, state, forgotten, digits)
  local hash = hashes[key]
  if forgotten > hash.needed then hash.needed = forgotten end
  local removed = state.used == 0 and string.sub(field, 1, 1) == 't'
  local stored = not removed and (digits or text(state.used)) .. (state.tail or print_tail(field, state))
  if removed then hash.removes = true end
  local set, i = hash.set, 1
  while set[i] and set[i] ~= field do i = i + 2 end
  hash[field], set[i], set[i + 1] = stored, field, stored
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
