#!lua
-- Settles or voids one decision, once: moves each charge to what was really used, or gives all of it back.
--
-- KEYS[1]  the usage stream
-- KEYS[2]  the open reservations
-- KEYS[3]  the number of records
-- KEYS…    on a cluster every other key of the decision, so that it sees before the script runs whether all of them are here
-- ARGV[1]  `settle` or `void`
-- ARGV[2]  the decision's record key
-- ARGV[3]  the tenant that may settle it; empty: any
-- ARGV[4]  fingerprint of the report
-- ARGV[5]  JSON {tokens, input_tokens, output_tokens, requests, usd}: what was really used, each in digits and each optional
-- ARGV[6]  the model that answered, as a JSON member with a comma before it; empty: the one that was asked for
-- ARGV[7]  the usage, as a JSON member with a comma before it; may be empty
-- ARGV[8]  the take's receipt, for a void where no record was kept; else empty
-- ARGV[9]  what was moved of the same decision at an account, as JSON for the event; may be empty
-- ARGV[10] how the call failed, for what its run tries next; empty: it did not
--
-- Returns {status, …}, where status is
--   settled, voided  then 1 if it was done before, else 0; the time; JSON of the changes [{id, unit, amount, crossed}];
--                    of what was held for another partition's event JSON for that, else ''; when it was decided; the model
--                    of its candidate, '' if it had none; the model that was asked for, as a JSON member with a comma
--                    before it, '' if none was
--   conflict         then the state that another report left it in
--   unknown          no such decision, or another tenant's
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
-- @include runs
-- @include record-count

local kind, record_key, tenant, fingerprint = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local done = kind == 'void' and 'voided' or 'settled'
local now = store_time()
local kept = stored_record(record_key)
local record = kept or (ARGV[8] ~= '' and cjson.decode(ARGV[8])) or nil

local function answer(state, again)
  local candidate = record.candidate and record.candidate.model or ''
  return { state, again, record.settled_at, record.changes, record.events or '', record.decided_at, candidate, record.about.model }
end

if not record or (tenant ~= '' and record.about.tenant ~= tenant) then return { 'unknown' } end
if record.state == 'settled' or record.state == 'voided' then
  if record.report == fingerprint then return answer(record.state, 1) end
  return { 'conflict', record.state }
end

check_open(KEYS[2])
if not kept then live_records(KEYS[3], now) end
local actual = cjson.decode(ARGV[5])
local changes, events = {}, {}

-- The signed change of one charge, nil if this report does not touch it. What was in flight has landed, or is no longer
-- counted since it expired.
local function change_of(limit)
  if limit.kind == 'c' and record.state == 'expired' then return nil end
  if kind == 'void' or limit.kind == 'c' then return 0 - whole(limit.cost) end
  local counted = limit.counts or limit.unit
  if not limit.settles or actual[counted] == nil then return nil end
  local used = whole(actual[counted])
  if not used then error('the amount of ' .. counted .. ' is not a whole number', 0) end
  return used - whole(limit.cost)
end

local function move(limit, change)
  local rule = { kind = limit.kind }
  if limit.kind == 't' then
    rule.amount, rule.period, rule.interval = whole(limit.amount), whole(limit.period), limit.interval
  end
  local given = {
    amount = whole(limit.cost), before = whole(limit.before), since = whole(limit.since), refilled = whole(limit.refilled),
  }
  return moved(read_counter(limit.key, limit.field), rule, given, change, now)
end

local run = ARGV[10] ~= '' and record.run and record.candidate and read_run(record.run) or nil
local writes = {}
for _, limit in ipairs(record.limits) do
  local change = change_of(limit)
  if change then
    local state, after, forgotten = move(limit, change)
    local crossed = change > 0 and after ~= state and announce(after, limit.thresholds, whole(limit.capacity)) or {}
    if after.used ~= state.used or #crossed > 0 then writes[#writes + 1] = { limit = limit, state = after, forgotten = forgotten } end
    changes[#changes + 1] = '{"id":' .. cjson.encode(limit.id) .. ',"unit":"' .. limit.unit .. '","amount":' .. text(change)
      .. (#crossed > 0 and ',"crossed":[' .. concat(crossed, ',') .. ']' or '') .. '}'
    events[#events + 1] = limit.event .. ',"amount":' .. text(change) .. ',"before":' .. text(state.used)
      .. ',"after":' .. text(after.used) .. ',"period_start":' .. text(period_start(after)) .. '}'
  end
end

record.state, record.report, record.settled_at = done, fingerprint, text(now)
record.changes = '[' .. concat(changes, ',') .. ']'
if record.hold then
  record.events = concat(events, ',')
else
  if ARGV[9] ~= '' then table.insert(events, 1, ARGV[9]) end
  local event = event_json(
    record.about, done, '[' .. concat(events, ',') .. ']', '{"granted":true,"reason":"ok"}',
    record.decided_at, text(now), record.candidate, (ARGV[6] ~= '' and ARGV[6] or record.about.model) .. ARGV[7]
  )
  redis.call('XADD', KEYS[1], '*', 'e', event)
end
for _, write in ipairs(writes) do write_counter(write.limit.key, write.limit.field, write.state, write.forgotten) end
flush_counters(now)
if kept then
  redis.call('SET', record_key, cjson.encode(record), 'KEEPTTL')
else
  redis.call('SET', record_key, cjson.encode(record), 'PX', text(RECORD_TTL_MS))
  count_record(KEYS[3], now)
  flush_record_count()
end
redis.call('ZREM', KEYS[2], record_key)
if run then
  run.failed[record.candidate.model] = ARGV[10]
  write_run(record.run, run)
end
if kind == 'void' and record.request_key ~= '' then redis.call('DEL', record.request_key) end
return answer(done, 0)
