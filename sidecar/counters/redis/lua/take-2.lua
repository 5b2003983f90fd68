#!lua
-- Takes: refill, check all, take all or nothing, append the usage event; many decisions to a call, each on its own.
--
-- KEYS[1]  the usage stream; every other key has the same hash tag, so all of a call is in one slot
-- KEYS[2]  the open reservations: record keys, scored by when they expire
-- ARGV[1]  `take`, or `peek`: say what a take would come to, write nothing
-- ARGV[2]  milliseconds after which an unsettled reservation expires
-- ARGV[3]  the store's time after which nobody waits for the answer and nothing is taken; 0: there is no such time
-- ARGV[4]… five for each decision:
--   plan         JSON {limits: [limit], candidates: [{model, limits: [limit]}]}
--                limit = {id, kind, key, field, event, unit, capacity, cost, deny, settles, thresholds,
--                on_exceed}, and by kind
--                t {amount, period, interval}, w {bounds, usual, rollover}
--   about        JSON {id, tenant, revision, model, event}; `event` and limit.event are beginnings of JSON objects
--   record key   where the grant is remembered
--   request key  makes the take idempotent; empty: it is not
--   fingerprint  tells the same request from another one under the same request key
--
-- Returns a reply for each decision, whose first element is
--   taken     then now, candidate (0: none), receipt, and for each limit seven: granted (1, 0), before, used, capacity,
--             reset_at, retry_after (-1: never), thresholds crossed (with commas between them)
--   refused   then now, 0, '', and the same for the common limits and those of the first candidate
--   replayed  then the record of the grant
--   conflict  the request id was granted for another fingerprint
--   late      then now, which is after the deadline; nothing was taken
--   stale_windows  then now, which is in none of the periods that the bounds tell
--   error     then a message; nothing was written for this decision
--
-- @include whole
-- @include now
-- @include mul-div
-- @include token-bucket
-- @include calendar-window
-- @include kinds
-- @include counters
-- @include record

local peek = ARGV[1] == 'peek'
local now = store_time()
local reservation_ttl = whole(ARGV[2])
local deadline = whole(ARGV[3])
if not reservation_ttl then error('the life of a reservation is not a whole number', 0) end
if not deadline then error('the deadline is not a whole number', 0) end
local late = deadline > 0 and now > deadline

local function check(limit)
  for _, field in ipairs({ 'capacity', 'cost' }) do
    if not is_whole(limit[field]) then error('limit ' .. limit.id .. ': ' .. field .. ' is not a whole number', 0) end
  end
  for _, field in ipairs(limit.kind == 't' and { 'amount', 'period' } or {}) do
    if not is_whole(limit[field]) or limit[field] < 1 then
      error('limit ' .. limit.id .. ': ' .. field .. ' is not a whole number above 0', 0)
    end
  end
  return limit
end

-- What one limit would come to: its state now, and whether its cost has room.
local function look(limit)
  local state = standing(read_counter(limit.key, limit.field), check(limit), now)
  local retry = retry_after(state, limit, now)
  return {
    limit = limit, state = state, capacity = capacity_of(state, limit), retry = retry,
    granted = retry == 0 or not limit.deny,
  }
end

local function look_at_all(limits)
  local views, granted = {}, true
  for i, limit in ipairs(limits) do
    views[i] = look(limit)
    granted = granted and views[i].granted
  end
  return views, granted
end

local function joined(a, b)
  local all = {}
  for _, view in ipairs(a) do all[#all + 1] = view end
  for _, view in ipairs(b) do all[#all + 1] = view end
  return all
end

-- The first candidate that has room, with every limit it draws on; or the first one's limits, refused.
local function choose(plan)
  local common, granted = look_at_all(plan.limits)
  if #plan.candidates == 0 then return common, granted, 0 end
  local first
  for i, candidate in ipairs(plan.candidates) do
    local own, own_granted = look_at_all(candidate.limits)
    if granted and own_granted then return joined(common, own), true, i end
    first = first or own
  end
  return joined(common, first), false, 0
end

local function reply(status, views, candidate, receipt)
  local out = { status, text(now), candidate, receipt }
  for _, view in ipairs(views) do
    local after = view.after or view.state
    out[#out + 1] = view.granted and '1' or '0'
    out[#out + 1] = text(view.state.used)
    out[#out + 1] = text(after.used)
    out[#out + 1] = text(view.capacity)
    out[#out + 1] = text(reset_at(after, view.limit, now))
    out[#out + 1] = text(view.retry)
    out[#out + 1] = table.concat(view.crossed or {}, ',')
  end
  return out
end

local function event_limits(views)
  local out = {}
  for i, view in ipairs(views) do
    out[i] = view.limit.event .. ',"amount":' .. text(view.limit.cost) .. ',"before":' .. text(view.state.used)
      .. ',"after":' .. text(view.after.used) .. ',"period_start":' .. text(period_start(view.after)) .. '}'
  end
  return '[' .. table.concat(out, ',') .. ']'
end

local function append(about, type, limits, granted, candidate)
  local outcome = granted and '{"granted":true,"reason":"ok"}' or '{"granted":false,"reason":"rate_limited"}'
  local event = event_json(about, type, limits, outcome, text(now), text(now), candidate)
  local added = redis.pcall('XADD', KEYS[1], '*', 'e', event)
  if added.err then error(added.err, 0) end
end

local function take(plan, about, record_key, request_key, fingerprint)
  local views, granted, candidate = choose(plan)
  for _, view in ipairs(views) do
    view.after = charge(view.state, granted and view.limit.cost or 0)
    view.crossed = granted and announce(view.after, view.limit.thresholds, view.capacity) or {}
  end
  if not granted then
    if not peek then append(about, 'denied', '[]', false) end
    return reply('refused', views, 0, '')
  end
  local chosen = plan.candidates[candidate]
  local record = new_record(about, views, chosen, request_key, fingerprint, now)
  if peek then return reply('taken', views, candidate, '') end

  if record.state == 'reserved' then check_open(KEYS[2]) end
  append(about, record.state, event_limits(views), true, chosen)
  local receipt = cjson.encode(record)
  if record.state == 'reserved' or request_key ~= '' then
    redis.call('SET', record_key, receipt, 'PX', text(RECORD_TTL_MS))
    if request_key ~= '' then redis.call('SET', request_key, record_key, 'PX', text(RECORD_TTL_MS)) end
    if record.state == 'reserved' then redis.call('ZADD', KEYS[2], text(now + reservation_ttl), record_key) end
  end
  for _, view in ipairs(views) do
    local limit, after = view.limit, view.after
    if limit.cost > 0 then write_counter(limit.key, limit.field, after, forgotten_at(after, limit, now)) end
  end
  return reply('taken', views, candidate, receipt)
end

local function answer(first)
  if late then return { 'late', text(now) } end
  local record_key, request_key, fingerprint = ARGV[first + 2], ARGV[first + 3], ARGV[first + 4]
  if request_key ~= '' then
    local granted = stored_record(redis.call('GET', request_key))
    if granted then
      if granted.fingerprint ~= fingerprint then return { 'conflict' } end
      return { 'replayed', cjson.encode(granted) }
    end
  end
  return take(cjson.decode(ARGV[first]), cjson.decode(ARGV[first + 1]), record_key, request_key, fingerprint)
end

local replies = {}
for first = 4, #ARGV, 5 do
  local ok, result = pcall(answer, first)
  if ok then
    replies[#replies + 1] = result
  elseif result == STALE then
    replies[#replies + 1] = { 'stale_windows', text(now) }
  else
    replies[#replies + 1] = { 'error', type(result) == 'table' and (result.err or 'error') or tostring(result) }
  end
end
flush_counters(now)
return replies
