-- Counters that the caller knows to be in a period that runs, windows and buckets that are filled at intervals: all of them but what is in
-- use stays as it is until that is over. There is nothing to reckon but a sum, and nothing to keep for the next decision of a call.
--
-- Sent in place of a plan is JSON {adds: [[key, room, members, …]]}: for each hash which of the decision's keys it is, and for each of its
-- counters what may be in use when its cost is charged (below the next threshold), and what the usage event says of more than one like it.
-- No counter comes twice. A decision's own is three lines:
--   <from> <until> <needed> <tails>  epoch milliseconds: between which instants that holds, and until when the counters are to be kept;
--                                    then all that is kept of them behind what is in use, one after the other
--   <field> <cost> …                 of each counter, hash by hash
--   what the usage event says of them: JSON of its limits, a format with three `%s` for each: the members, what is in use before and after
-- Its event is known as a whole but for its outcome, its limits and when it was.
local function adds_of(plan)
  if plan.made then return plan.made end
  local adds, n = { values = {}, event = '', needed = 0 }, 0
  for i, sent in ipairs(plan.adds) do
    local hash = { key = sent[1], rooms = {}, costs = {}, get = { '', '@x' }, set = { '' }, expires = 0 }
    for j = 1, #sent / 2 do
      local room = sent[2 * j]
      if not is_whole(room) then error(NOT_WHOLE, 0) end
      hash.rooms[j], hash.costs[j], hash.get[j + 2] = room, '', ''
      hash.set[2 * j], hash.set[2 * j + 1] = '', ''
      adds.values[n + 1], adds.values[n + 2], adds.values[n + 3] = sent[2 * j + 1], '', ''
      n = n + 3
    end
    adds[i] = hash
  end
  plan.made = adds
  return adds
end

-- Reads a hash's fields and costs, which begin at `at`, and gives where they end.
local function read_adds(hash, own, at)
  local get, costs_of = hash.get, hash.costs
  for j = 1, #hash.rooms do
    local middle = find(own, ' ', at, true)
    local last = find(own, ' ', middle + 1, true)
    get[j + 2], costs_of[j] = sub(own, at, middle - 1), sub(own, middle + 1, last - 1)
    at = last + 1
  end
  return at
end

-- Looks at all of them, and writes nothing: what each was before, in words; nil if one is not as its caller knows it, or has no room.
local function look_at_adds(adds, own, first_key, now)
  local first = find(own, ' ', 1, true)
  local second = find(own, ' ', first + 1, true)
  if now < sub(own, 1, first - 1) + 0 or now >= sub(own, first + 1, second - 1) + 0 then return nil end
  local third = find(own, ' ', second + 1, true)
  local last = find(own, '\n', third + 1, true)
  adds.needed = sub(own, second + 1, third - 1) + 0
  local values, words, found, at, n = adds.values, '', '', last + 1, 0
  for i = 1, #adds do
    local hash = adds[i]
    local get, set, rooms, costs_of = hash.get, hash.set, hash.rooms, hash.costs
    get[1] = KEYS[first_key + hash.key]
    set[1] = get[1]
    at = read_adds(hash, own, at)
    local reply = redis.pcall('HMGET', unpack(get))
    if reply.err then error(reply.err, 0) end
    hash.expires = (reply[1] or 0) + 0
    for j = 1, #rooms do
      local before, tail = match(reply[j + 1] or '', '^(%d+)(:.*)$')
      local cost = costs[costs_of[j]] or cost_of(costs_of[j])
      if not cost then error(NOT_WHOLE, 0) end
      local used = (before or MAX_AMOUNT) + cost
      if used > rooms[j] then return nil end
      local after = text(used)
      set[2 * j], set[2 * j + 1] = get[j + 2], after .. tail
      values[n + 2], values[n + 3] = before, after
      found, words, n = found .. tail, words .. ' ' .. before, n + 3
    end
  end
  adds.event = sub(own, at + 1)
  return found == sub(own, third + 1, last - 1) and words or nil
end

local function added_event(adds, event, rest)
  return event .. ',"type":"consumed","outcome":{"granted":true,"reason":"ok"},"count":1,"limits":['
    .. format(adds.event, unpack(adds.values)) .. rest
end

local function write_adds(adds, now)
  local expires = adds.needed + EXPIRY_SLACK_MS
  for i = 1, #adds do
    local hash = adds[i]
    redis.call('HSET', unpack(hash.set))
    if adds.needed > hash.expires then
      redis.call('HSET', hash.get[1], '@x', text(expires))
      redis.call('PEXPIRE', hash.get[1], text(expires - now))
    end
  end
end
