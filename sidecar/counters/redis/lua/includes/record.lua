-- What is remembered of a grant. Amounts are digits: cjson prints 14 of them at most.

-- As text from the start: a table of it, to be encoded, took twice as long. Keys, fields and units need no escapes.
local CHARGED = digits_format('","capacity":"%d","since":"%d","refilled":"%d","retry":"%d","reset_at":"%d"')
local REFILL = digits_format(',"amount":"%d","period":"%d","interval":%s')

local function list(items, quote)
  return #items == 0 and '[]' or '[' .. quote .. concat(items, quote .. ',' .. quote) .. quote .. ']'
end

-- What one limit was charged, with all that moving it later needs.
local function charge_json(limit)
  local rule, state = limit.rule, limit.state
  return '{"id":' .. limit.id .. ',"kind":"' .. rule.kind .. '","key":"' .. limit.key
    .. '","field":"' .. limit.field .. '","event":' .. cjson.encode('{"id":' .. limit.id .. rule.event) .. ',"unit":"' .. rule.unit
    .. '","thresholds":' .. list(rule.thresholds, '') .. ',"crossed":' .. list(limit.crossed, '"')
    .. ',"settles":' .. tostring(rule.settles) .. ',"on_exceed":"' .. (rule.deny and 'deny' or 'flag') .. '"'
    .. (rule.counts and ',"counts":"' .. rule.counts .. '"' or '')
    .. ',"cost":"' .. limit.amount .. '","before":"' .. limit.shown .. '","used":"' .. limit.digits
    .. format(
      CHARGED, limit.capacity, limit.over and 0 or state.since or state.start or 0, state.refilled or 0, limit.retry, limit.reset
    )
    .. (rule.kind == 't' and format(REFILL, rule.amount, rule.period, tostring(rule.interval)) or '')
    .. '}'
end

-- Whether something is still to come: the real usage, or the end of the call.
local function is_open(limits)
  for i = 1, #limits do
    local rule = limits[i].rule
    if rule.settles or rule.kind == 'c' then return true end
  end
  return false
end

-- What it is of, as later events and whoever asks for it need it.
local function about_json(about)
  local event = cjson.decode(about.event .. '}')
  return '{"id":"' .. about.id .. '","tenant":' .. cjson.encode(event.tenant_id)
    .. ',"revision":' .. cjson.encode(event.policy_revision or '') .. ',"model":' .. cjson.encode(about.model)
    .. ',"event":' .. cjson.encode(about.event) .. '}'
end

-- `more` is {state, candidate, closed, request_key, run_key, ask, decided_at, held: JSON for another partition's
-- event}.
local function record_json(about, taken, more)
  local limits = {}
  for i, limit in ipairs(taken) do limits[i] = charge_json(limit) end
  local candidate, shared = more.candidate, more.ask.shared
  return '{"v":1,"state":"' .. more.state .. '","about":' .. about_json(about) .. ',"limits":' .. list(limits, '')
    .. ',"request_key":"' .. more.request_key .. '","fingerprint":' .. cjson.encode(more.ask.fingerprint)
    .. ',"decided_at":"' .. more.decided_at .. '"'
    .. (more.held and ',"hold":true,"held":' .. cjson.encode(more.held) or '')
    .. (candidate and ',"candidate":{"model":' .. cjson.encode(candidate.model) .. ',"json":' .. cjson.encode(candidate.json) .. '}' or '')
    .. (#more.closed > 0 and ',"closed":' .. cjson.encode('[' .. concat(more.closed, ',') .. ']') or '')
    .. (shared and ',"shared":' .. cjson.encode(shared.record) or '')
    .. (more.run_key ~= '' and ',"run":"' .. more.run_key .. '"' or '')
    .. '}'
end

-- The record under a key, nil if there is none. A newer version than this script knows raises a string.
local function stored_record(key)
  if not key then return nil end
  local stored = redis.pcall('GET', key)
  if not stored then return nil end
  if type(stored) == 'table' then error(stored.err, 0) end
  local record = cjson.decode(stored)
  if record.v ~= 1 then error('record ' .. key .. ' is of version ' .. tostring(record.v) .. '; this is version 1', 0) end
  return record
end

-- Raises a string if the set of open reservations cannot be written: to be asked before the first write.
local function check_open(key)
  local count = redis.pcall('ZCARD', key)
  if type(count) == 'table' then error(count.err, 0) end
end
