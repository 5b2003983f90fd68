#!lua
-- Marks reservations that nobody settled in time as expired: the estimate stands, and what was in flight is no longer
-- counted. A settle within the record's 24 hours still corrects it.
--
-- KEYS[1]  the usage stream
-- KEYS[2]  the open reservations: record keys, scored by when they expire
-- KEYS…    on a cluster every other key of the decisions, so that it sees before the script runs whether all of them are here
-- ARGV…    the record keys of those whose time is over, as due-2.lua tells
--
-- Returns how many were marked, then what went wrong with others, which are not tried again; but if it is the stream that takes
-- no event, that one and those after it are.
--
-- @include whole
-- @include now
-- @include mul-div
-- @include token-bucket
-- @include calendar-window
-- @include kinds
-- @include counters
-- @include usage-event
-- @include record

local now = store_time()
local refused = false

local function append(event)
  local added = redis.pcall('XADD', KEYS[1], '*', 'e', event)
  if not added.err then return end
  refused = true
  error(added.err, 0)
end

local function release(limit)
  local change = 0 - whole(limit.cost)
  local before, after = moved(read_counter(limit.key, limit.field), limit, {}, change, now)
  local event = limit.event .. ',"amount":' .. text(change) .. ',"before":' .. text(before.used)
    .. ',"after":' .. text(after.used) .. ',"period_start":0}'
  return event, function() write_counter(limit.key, limit.field, after, 0) end
end

local function expire(record_key)
  local record = stored_record(record_key)
  if not record or record.state ~= 'reserved' then return 0 end
  local events, writes = {}, {}
  for _, limit in ipairs(record.limits) do
    if limit.kind == 'c' then events[#events + 1], writes[#writes + 1] = release(limit) end
  end
  record.state = 'expired'
  if not record.hold then
    local event = event_json(
      record.about, 'expired', '[' .. concat(events, ',') .. ']', '{"granted":true,"reason":"ok"}',
      record.decided_at, text(now), record.candidate
    )
    append(event)
  end
  for _, write in ipairs(writes) do write() end
  redis.call('SET', record_key, cjson.encode(record), 'KEEPTTL')
  return 1
end

local marked, problems = 0, {}
for _, record_key in ipairs(ARGV) do
  local ok, result = pcall(expire, record_key)
  if ok then
    marked = marked + result
  else
    problems[#problems + 1] = type(result) == 'table' and (result.err or 'error') or tostring(result)
  end
  if refused then break end
  redis.call('ZREM', KEYS[2], record_key)
end
flush_counters(now)
return { marked, unpack(problems) }
